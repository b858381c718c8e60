"""The table of all error codes: what each means, why it happens and what to do. docs/errors.md is made from it.

A code is never given to another error. When an error is gone, its code moves to `RETIRED`.
"""

from __future__ import annotations

from collections.abc import Mapping

from .error_entry import AREAS, ErrorEntry
from .server_error_entries import SERVER_ENTRIES

__all__ = ["AREAS", "ERRORS", "RETIRED", "ErrorEntry", "error_page"]

RETIRED: frozenset[str] = frozenset()
"""Codes of errors that no version raises any more."""

_AGAIN = "Run the same command again: it continues where it stopped."

_ENTRIES = (
    # Command line and machine
    ErrorEntry(
        "LW1001",
        ("No such command 'COMMAND'.", "Missing argument 'NAME'.", "Invalid value for 'OPTION': REASON"),
        "The command line has a command, an option or a value that Labelwright does not know, or lacks one.",
        "Read the help of the command that the message names: `labelwright COMMAND --help`.",
    ),
    ErrorEntry(
        "LW1002",
        ("REASON: WHAT TO GIVE INSTEAD",),
        "The request cannot be carried out as given: values contradict each other, or one is missing.",
        "Change what the message names. Nothing was done.",
    ),
    ErrorEntry(
        "LW1003",
        (
            "nothing was paused: 'TITLE' is STATE",
            "nothing was resumed: 'TITLE' is STATE",
            "nothing was reopened: REASON",
        ),
        "The command was understood, and there was nothing to do in the campaign's present state.",
        "Use the command that the message names; `labelwright status CAMPAIGN` shows the state.",
    ),
    ErrorEntry(
        "LW1004",
        ("PATH: there is no such file", "PATH exists and is not overwritten", "PATH cannot be written: REASON"),
        "A file or folder that the command needs is missing, exists already, or cannot be read or written.",
        "Check the path's spelling and rights. Paths of a campaign file begin at the folder of that file.",
    ),
    ErrorEntry(
        "LW1005",
        (
            "port PORT is in use by another program. Choose another one with OPTION",
            "cannot listen on HOST:PORT: REASON. Give another --port",
        ),
        "Another program listens on that port, or the address is none of this machine.",
        "Give another port with the option that the message names; port 0 takes a free one where it is allowed.",
    ),
    ErrorEntry(
        "LW1006",
        ("PATH: No space left on device. Make room there",),
        "The disk, the user's quota, or the largest size of a file is used up.",
        "Make room where the home folder, the datasets and the temporary folder are. " + _AGAIN,
    ),
    ErrorEntry(
        "LW1007",
        ("PATH: Permission denied. Give this user the right, or name another place",),
        "This user may not read or write that path, or the disk is mounted read-only.",
        "Give the user the right, or set LABELWRIGHT_HOME, export.folder or TMPDIR to another place.",
    ),
    ErrorEntry(
        "LW1008",
        ("PATH: REASON OF THE OPERATING SYSTEM",),
        "The operating system refused an operation on a file, a folder or a connection.",
        "Fix what the message names. " + _AGAIN,
    ),
    ErrorEntry(
        "LW1009",
        ("this machine has no more memory for it",),
        "The process could not get more memory: other programs use it, or a limit is set.",
        "End other programs, raise the limit, or lower images.max_megapixels. " + _AGAIN,
    ),
    ErrorEntry(
        "LW1010",
        ("PATH: File name too long. Give another path",),
        "The path is longer than the file system allows, or its links lead in a circle.",
        "Give another path.",
    ),
    ErrorEntry(
        "LW1011",
        ("the output could not be written: REASON",),
        "Standard output leads to a file or a device that takes no more.",
        "Make room there, or send the output elsewhere. What the command did is done.",
    ),
    ErrorEntry(
        "LW1012",
        ("labelwright up runs already on HOME: HOLDER",),
        "Another `labelwright up` uses the same home folder.",
        "Use that one, stop it first, or give another folder with --home.",
    ),
    ErrorEntry(
        "LW1099",
        ("this is a mistake in Labelwright; please report it with the lines above",),
        "The program failed in a way that it does not foresee.",
        "Report it with the printed lines; they contain no credentials. Usually the same command continues the work.",
    ),
    # Settings
    ErrorEntry(
        "LW1101",
        ("SETTING: REASON",),
        "A setting has a value that cannot be used, or settings contradict each other.",
        "Correct the setting that the message names; docs/configuration.md lists all settings.",
    ),
    ErrorEntry(
        "LW1102",
        (
            "connection 'NAME' is not complete. Set SETTING",
            "no labeling service is configured.",
            "the Azure ML workspace 'NAME' is not configured",
        ),
        "The campaign needs a setting that this machine does not have, such as a platform's URL or key.",
        "Set the environment variable, or the line of the settings file, that the message names.",
    ),
    ErrorEntry(
        "LW1103",
        ("the labeling service of HOME is not running, or is being restarted",),
        "The campaign uses the embedded labeling service, and it is not running.",
        "Start it with `labelwright up`, `labelwright serve` or `labelwright run`, or set the URL of another one.",
    ),
    ErrorEntry(
        "LW1104",
        (
            "images.KEY: PATH is a relative path, and the launch runs on the machine HOST",
            "export.folder: PATH is a folder of one machine",
        ),
        "Runs of this Prefect server are carried out by workers of other machines, which do not see that folder.",
        "Put the images where all workers reach them, or list the folder in LABELWRIGHT_SHARED_FOLDERS.",
    ),
    # Campaign file
    ErrorEntry(
        "LW1201",
        ("FILE, line LINE: REASON",),
        "The campaign file is not valid: each line of the message names one fault.",
        "Correct the lines and check them with `labelwright validate FILE`; docs/campaign-file.md describes the keys.",
    ),
    ErrorEntry(
        "LW1202",
        (
            "label 'NAME': PLATFORM has no polygons.",
            "instructions: PLATFORM has no place for them.",
            "labels: PLATFORM cannot take them: REASON",
        ),
        "The campaign asks for something that labelers of its platform would not see.",
        "Change the labels as the message says, or write `on_unsupported: ignore` in the campaign file.",
    ),
    ErrorEntry(
        "LW1203",
        ("the title 'TITLE' is in use by a campaign REASON. It was left as it is; this file differs: FIELDS",),
        "A campaign of this title exists and differs from the file in what cannot be changed after the launch.",
        "Put the old values back, choose another title, or use `labelwright change` for what can be changed.",
    ),
    # Commands for a campaign
    ErrorEntry(
        "LW1301",
        (
            "'TITLE' is STATE: there is nothing to retry.",
            "'TITLE' is STATE: it is too late to cancel it",
            "'TITLE' is not on its platform yet",
        ),
        "The campaign's state does not allow the command.",
        "`labelwright status CAMPAIGN` shows the state; the message names the command that leads on.",
    ),
    ErrorEntry(
        "LW1302",
        ("PLATFORM cannot delete campaigns", "PLATFORM makes no new keys", "labelers write no notes on PLATFORM"),
        "The campaign's platform does not have the function that the command uses.",
        "Do what the message says instead; the table of platforms in the README shows what each one can do.",
    ),
    ErrorEntry(
        "LW1303",
        ("'TITLE' was left as it is. REASON", "the file describes 'OTHER', not 'TITLE'"),
        "The campaign file asks for changes that are not possible after the launch.",
        "Undo these changes in the file, or launch the images as a new campaign under another title.",
    ),
    ErrorEntry(
        "LW1304",
        (
            "there is no campaign of exactly the title 'TITLE' on PLATFORM",
            "NUMBER images of 'TITLE' on PLATFORM are not among the images of the campaign file",
            "'TITLE' is in this ledger already",
        ),
        "The campaign on the platform and the campaign file do not belong together, or the ledger has it already.",
        "Correct title, connection, labels or images of the file as the message says, then adopt it again.",
    ),
    ErrorEntry(
        "LW1305",
        ("nothing was reopened: NUMBER of TOTAL names are no images of 'TITLE'", "no image of 'TITLE' is named"),
        "Names that were given to --images are not names of images of this campaign.",
        "Write each name as it is in the campaign's images, with its subfolder, one a line.",
    ),
    ErrorEntry(
        "LW1306",
        ("the key of LABELER is kept on the machine HOST", "the key of LABELER was kept in FOLDER and is gone"),
        "The labeler's key was made on another machine, or its file is gone.",
        "Run the command where the campaign was launched, share the team's key, or make a new key with --rotate.",
    ),
    ErrorEntry(
        "LW1308",
        (
            "'TITLE' is STATE: DONE of TOTAL images are labeled.",
            "'TITLE' is STATE: nothing is labeled yet.",
            "'TITLE' needs attention: REASON",
        ),
        "The campaign is not labeled yet, so it cannot be finished or exported. Nothing is wrong.",
        "Wait for the labels, or deliver what is ready: `labelwright deliver CAMPAIGN --accept-partial`.",
    ),
    ErrorEntry(
        "LW1309",
        ("'TITLE': DONE of TOTAL images are labeled after HOURS hours.",),
        "The labels did not come within the time for which the command waits.",
        "Run the command again to wait longer; `labelwright status` shows the pace.",
    ),
    ErrorEntry(
        "LW1310",
        ("NUMBER files were left out and the campaign is strict", "no image is left, NUMBER files were left out"),
        "Files cannot be labeled (damaged, duplicates, wrong format), and `images.strict` or --strict forbids it.",
        "Repair or remove these files, exclude them by images.exclude, or launch without strict.",
    ),
    # A campaign needs attention
    ErrorEntry(
        "LW1401",
        ("STATE on the platform, not by Labelwright, with DONE of TOTAL images done",),
        "Somebody closed the campaign on its platform before all images were labeled.",
        "`labelwright reopen CAMPAIGN` gives it back; `labelwright deliver CAMPAIGN --accept-partial` exports it.",
    ),
    ErrorEntry(
        "LW1402",
        ("NUMBER of TOTAL images are gone from the campaign on PLATFORM: somebody deleted them",),
        "Images of the campaign were deleted on the platform.",
        "Let them be sent again with `labelwright resume CAMPAIGN`, or follow the message to go on without them.",
    ),
    ErrorEntry(
        "LW1403",
        (
            "of its TOTAL images DONE are labeled and the others will not be",
            "all NUMBER images on the platform are labeled, and ADDED of them were not sent from here",
            "nothing is left to deliver: REASON",
        ),
        "All images that are not done failed, or were cancelled or taken out on the platform.",
        "`labelwright failed CAMPAIGN` lists them; send them again with --resend or go on with --leave-out.",
    ),
    ErrorEntry(
        "LW1404",
        ("the WORK run was started NUMBER times and never finished",),
        "Runs of this campaign end before they are done: workers crash, are killed, or lack something.",
        "Read the runs' logs in Prefect, run `labelwright doctor`, then `labelwright resume CAMPAIGN`.",
    ),
    # Ledger
    ErrorEntry(
        "LW2001",
        (
            "the ledger cannot be opened: REASON",
            "the ledger's URL cannot be used (REASON)",
            "the ledger was written by another version of Labelwright",
        ),
        "The ledger refuses the request, or its database cannot be used as it is.",
        "Do what the message says; `labelwright doctor` checks the ledger.",
    ),
    ErrorEntry(
        "LW2002",
        ("the ledger knows no campaign 'TITLE'",),
        "There is no campaign of that exact title in this ledger.",
        "`labelwright status` lists all titles. With several home folders or ledgers, name the right one (--home).",
    ),
    ErrorEntry(
        "LW2003",
        ("the ledger's database refuses: REASON",),
        "The database is full, read-only, damaged or cannot be reached, or its user lacks a right.",
        "Fix what the message names (disk, server, rights). " + _AGAIN,
    ),
    ErrorEntry(
        "LW2004",
        ("RUN is at work on it since TIME UTC", "somebody else was a moment faster. Nothing was done"),
        "Another run or command works on the campaign at this moment.",
        "Wait until it ends. A run that died is noticed within minutes, and then taken over.",
    ),
    ErrorEntry(
        "LW2005",
        ("another process took NAME over, because this one seemed dead.",),
        "This run was silent for too long, and another one went on with the campaign.",
        "Nothing is to be done: the other run continues. Check the machine if it happens often (sleep, clock, load).",
    ),
    ErrorEntry(
        "LW2006",
        ("this run seemed dead before it began, and another run was started in its place",),
        "The run began after a newer run had taken its work over.",
        "Nothing is to be done: the newer run continues.",
    ),
    ErrorEntry(
        "LW2007",
        ("WHAT of 'TITLE' exists on the platform, and this ledger did not make it",),
        "Two runs recorded the same effect at the same time.",
        _AGAIN,
    ),
    ErrorEntry(
        "LW2010",
        ("No campaign was launched on this machine yet.",),
        "The operations page has no ledger to show: no campaign was launched with these settings.",
        "Launch a campaign, or start the service with the ledger's settings (LABELWRIGHT_LEDGER_URL, --home).",
    ),
    ErrorEntry(
        "LW2011",
        ("PostgreSQL needs a driver", "it is encoded in ENCODING", "it is not a URL such as URL"),
        "The database's URL, kind, encoding or driver is not usable.",
        "Correct the URL; for PostgreSQL install `labelwright[postgres]` and create the database with ENCODING 'UTF8'.",
    ),
    ErrorEntry(
        "LW2012",
        (
            "the service's database is at schema 'SCHEMA', and this version of Labelwright knows none beyond",
            "it belongs to something else. Give the service a database of its own.",
        ),
        "The embedded service's data belong to a newer version, or to another program.",
        "Install the version that wrote them, or give the service a folder or database of its own.",
    ),
    # Images
    ErrorEntry(
        "LW3001",
        (
            "There is no folder 'PATH'.",
            "The manifest 'PATH' cannot be read",
            "The container NAME has no matching images",
            "No images were found.",
        ),
        "The folder, list, manifest, container or video that images come from cannot be read, or has no images.",
        "Check the path, address or credential that the message names; `labelwright plan FILE` shows what is found.",
    ),
    ErrorEntry(
        "LW3002",
        ("NAME was changed after it was checked",),
        "An image file changed between its check and its upload.",
        "Put the original file back, then `labelwright resume CAMPAIGN`.",
    ),
    ErrorEntry(
        "LW3003",
        ("NUMBER images have another size there",),
        "The platform reads these images with another width or height, so labels would not fit.",
        "Remove the files that the message names, or save them again without rotation flags, then launch again.",
    ),
    ErrorEntry(
        "LW3004",
        ("images of 'TITLE' are still missing after they were sent", "NUMBER were not sent: REASON"),
        "Images did not arrive on the platform although they were sent several times.",
        "Check the network and the platform's storage, then `labelwright resume CAMPAIGN`.",
    ),
    ErrorEntry(
        "LW3005",
        ("FILE is not a valid COCO file: REASON",),
        "The file of predictions cannot be read, or does not match the campaign's labels.",
        "Correct the file: names of images and labels have to be those of the campaign.",
    ),
    ErrorEntry(
        "LW3006",
        ("the store was not asked to keep images: REASON",),
        "Images of the campaign could not be copied into the store of datasets.",
        "Put missing originals back, check the store's space and rights, then `labelwright resume CAMPAIGN`.",
    ),
    # Platforms
    ErrorEntry(
        "LW4001",
        ("PLATFORM did not answer when asked to OPERATION: REASON",),
        "The platform's server could not be reached, or did not answer in time.",
        "Check the URL, the network and whether the server runs. Nothing is lost: run the same command again.",
    ),
    ErrorEntry(
        "LW4002",
        ("PLATFORM answered 5xx when asked to OPERATION: REASON",),
        "The platform's server failed or is overloaded.",
        "Try again later. If it lasts, show the message to the platform's operator.",
    ),
    ErrorEntry(
        "LW4003",
        ("PLATFORM answered 429 when asked to OPERATION. The server asks to wait",),
        "Too many requests were sent with this credential.",
        "Wait until the moment in the message. Sweeps do so by themselves.",
    ),
    ErrorEntry(
        "LW4010",
        ("PLATFORM was not asked to OPERATION: REASON",),
        "The request would not have worked, and was not sent.",
        "Do what the message says.",
    ),
    ErrorEntry(
        "LW4011",
        ("PLATFORM answered 4xx when asked to OPERATION: REASON",),
        "The platform refused the request; the message has its own words. The same request is refused again.",
        "Correct what the platform names, in the campaign file or on the platform.",
    ),
    ErrorEntry(
        "LW4012",
        ("PLATFORM answered 401 when asked to OPERATION", "PLATFORM answered 403 when asked to OPERATION"),
        "The credential is missing, wrong or expired, or lacks a right.",
        "Check the key and secret of the connection that the message names; docs/configuration.md says where they are.",
    ),
    ErrorEntry(
        "LW4013",
        ("PLATFORM answered 404 when asked to OPERATION",),
        "What was asked for does not exist there any more, or not for this credential.",
        "Check the connection's URL and user. If it was deleted on purpose: `labelwright cancel CAMPAIGN`.",
    ),
    ErrorEntry(
        "LW4014",
        ("PLATFORM answered 403 when asked to OPERATION. Ask for a new signed URL and send what is missing.",),
        "The signed address for uploads is no longer valid.",
        "Run the launch again: it asks for a new one. If it repeats, compare the clocks of both machines.",
    ),
    ErrorEntry(
        "LW4015",
        ("NUMBER tasks would be billed, and LIMIT are allowed",),
        "The campaign would create more billed tasks than its file allows.",
        "Raise the limit in the campaign's options, or take fewer images.",
    ),
    ErrorEntry(
        "LW4016",
        ("PLATFORM was not asked to offer the labels of 'TITLE'",),
        "Labels were renamed or deleted on the platform.",
        "Put the names back on the platform, then `labelwright resume CAMPAIGN`.",
    ),
    ErrorEntry(
        "LW4017",
        ("geti was not asked to restore FOLDER: REASON",),
        "A file of the backup is missing, damaged, or of a version that is not supported.",
        "Make the backup again, or correct what the message names.",
    ),
    ErrorEntry(
        "LW4018",
        ("geti answered 200 when asked to compare the PART: DIFFERENCES",),
        "The project changed while it was saved, or files did not arrive.",
        "Run the backup again: it repeats only what differs.",
    ),
    ErrorEntry(
        "LW4019",
        ("the sweep was not asked to check every campaign: NUMBER could not be checked, 'TITLE' among them",),
        "A platform refused the credential during a sweep; the sweep did everything else.",
        "Check key and secret of the connection that the message names.",
    ),
    ErrorEntry(
        "LW4020",
        ("a server did not answer in time",),
        "A request did not end within its time limit.",
        "Check the network and the server. Nothing is lost: run the same command again.",
    ),
    # Labels and datasets
    ErrorEntry(
        "LW5001",
        (
            "there is no DATASET: see labelwright datasets list",
            "no campaign of this ledger has an image whose SHA-256 begins with DIGITS",
        ),
        "The ledger has no such dataset, version, object or image.",
        "`labelwright datasets list` shows names and versions.",
    ),
    ErrorEntry(
        "LW5002",
        ("DATASET, version V, is PLACE: run COMMAND there",),
        "The version was registered in a folder of another machine.",
        "Run the command there, or mount that folder at the same path.",
    ),
    ErrorEntry(
        "LW5003",
        ("DATASET, version V, is PLACE, and a new version belongs beside it.",),
        "The next version has to follow versions that are on another machine.",
        "Export on that machine, or use a store that all machines reach.",
    ),
    ErrorEntry(
        "LW5004",
        ("STORE was not asked to verify a dataset: REASON",),
        "Files of a registered version were changed or deleted.",
        "`labelwright datasets verify DATASET` lists them and says how to repair them.",
    ),
    ErrorEntry(
        "LW5005",
        ("PATH exists with other content than FILE", "the files of 'NAME' changed after they were checked."),
        "A version is never overwritten: the store holds other bytes under the same name.",
        "Move the foreign file away, then export again; `labelwright datasets verify` shows the rest.",
    ),
    ErrorEntry(
        "LW5006",
        ("FOLDER is gone, or is on another machine", "the container has no receipt of NAME"),
        "The version's folder or asset was deleted.",
        "Restore it, or export the campaign again.",
    ),
    ErrorEntry(
        "LW5007",
        ("FILE is damaged: it cannot be read as a receipt",),
        "The version's receipt cannot be read.",
        "`labelwright datasets verify DATASET` says how to repair it.",
    ),
    ErrorEntry(
        "LW5008",
        (
            "PATH is a link or a device; a dataset may contain plain files only",
            "'ASSET' has no labels CSV",
            "'ASSET' has no MLTable",
        ),
        "A name in the dataset leads out of its folder.",
        "Rename the image or label, then export again.",
    ),
    ErrorEntry(
        "LW5009",
        ("no labels were delivered for NAMES: read the labels again", "the labels hold NUMBER images"),
        "There is nothing to deliver, or the chosen formats cannot hold it.",
        "Label more images, or change export.formats in the campaign file with `labelwright change`.",
    ),
    ErrorEntry(
        "LW5010",
        ("nothing was registered: FINDINGS",),
        "Labels break the campaign's rules: unknown labels, shapes outside of the image, crossed polygons.",
        "`labelwright reopen CAMPAIGN --wrong` returns these images, or deliver the rest with --accept-partial.",
    ),
    ErrorEntry(
        "LW5011",
        ("FILE is damaged, its sizes do not add up", "FILE cannot be read (REASON): read that page again"),
        "Files of an export under way were changed or cut off.",
        "Export again: damaged parts are downloaded anew.",
    ),
    ErrorEntry(
        "LW5012",
        ("DATASET, version V, has no FILE",),
        "The file was deleted, or the campaign's export.formats do not include that format.",
        "`labelwright datasets verify DATASET` checks the files; add the format to the campaign file and export again.",
    ),
    ErrorEntry(
        "LW5013",
        ("NAME was changed after it was labeled", "NAME cannot be read"),
        "The original image file of a dataset is gone or has other bytes.",
        "Put the original file back at the path that the dataset names.",
    ),
    ErrorEntry(
        "LW5014",
        (
            "NAME has other bytes than when the campaign was launched.",
            "NAME cannot be read (REASON). Put the original image back",
        ),
        "A format with images in it (YOLO, VOC, Hugging Face) needs an image file that is gone or was changed.",
        "Put the original file back, then `labelwright export CAMPAIGN`.",
    ),
    ErrorEntry(
        "LW5015",
        ("the format huggingface needs pyarrow",),
        "A format of export.formats is written with a library that is not installed.",
        "Install the package that the message names, on every machine that exports.",
    ),
    ErrorEntry(
        "LW5016",
        ("nothing was registered: FINDINGS",),
        "Images of the campaign cannot be delivered yet, and a delivery of the others was not asked for.",
        "Wait for their labels, or deliver the others: `labelwright deliver CAMPAIGN --accept-partial`.",
    ),
    # Prefect and servers
    ErrorEntry(
        "LW6001",
        ("SERVER did not start: REASON", "Prefect's API at URL does not answer"),
        "A server that the command needs did not start, ended, or does not answer.",
        "Read the log that the message names; start the server again, or correct its address.",
    ),
    ErrorEntry(
        "LW6002",
        ("the Prefect server is busy: for SECONDS seconds it did not carry out a request",),
        "The Prefect server answered that it is overloaded, again and again.",
        "Try again later. If it lasts, give the server more CPU or a Postgres database (docs/scale.md).",
    ),
    ErrorEntry(
        "LW6003",
        ("no Prefect server is configured",),
        "The command works with a Prefect server that keeps running, and PREFECT_API_URL is not set.",
        "Start everything with `labelwright up`, or set PREFECT_API_URL.",
    ),
    ErrorEntry(
        "LW6004",
        ("Prefect's API broke off (ERROR)",),
        "The connection to the Prefect server was lost in the middle of a run.",
        "Check the server. " + _AGAIN,
    ),
    ErrorEntry(
        "LW6005",
        ("the deployments were not registered. Prefect's message: TEXT", "the deployment NAME was not registered"),
        "Prefect refused a deployment, or its file is not valid.",
        "Correct what Prefect's message names, then `labelwright deploy` again.",
    ),
    ErrorEntry(
        "LW6006",
        ("there is no block 'NAME' of type 'TYPE'",),
        "The Prefect server has no such block, or the name was not given as TYPE/NAME.",
        "Create it in the Prefect UI under Blocks; `labelwright blocks` registers missing block types.",
    ),
    ErrorEntry(
        "LW6007",
        ("the container 'NAME' for results cannot be used",),
        "The Azure container for results of runs cannot be reached or created, or a package is missing.",
        "Check account, rights and `labelwright[results]`, or remove LABELWRIGHT_RESULTS__... from the settings.",
    ),
    ErrorEntry(
        "LW6008",
        ("The Prefect server has no deployment NAME", "No Prefect server is configured for this service"),
        "The operations page could not start a run.",
        "Register the deployments with `labelwright deploy`, start the Prefect server, or use the command shown there.",
    ),
    ErrorEntry(
        "LW6009",
        ("The service does not listen on HOST, where others can reach it, with an admin secret that nobody chose.",),
        "The embedded service would be reachable by others with a generated secret.",
        "Set an admin key and an admin secret of at least 16 characters, or listen on 127.0.0.1.",
    ),
    ErrorEntry(
        "LW6012",
        ("the program that listens on port PORT is not this home's labeling service",),
        "The program on the service's port did not prove that it is this home folder's service.",
        "Stop the other program, start the service again, or upgrade an older one that still runs.",
    ),
    ErrorEntry(
        "LW6013",
        ("the storage's connection string cannot be read", "the storage's URL names no account"),
        "The storage account or the data folder of the embedded service does not work as configured.",
        "Correct the settings LABELWRIGHT_SERVICE__STORAGE_..., or the account's rights.",
    ),
    ErrorEntry(
        "LW6014",
        ("cannot listen on HOST:PORT: REASON",),
        "The embedded service cannot use that address: it is taken, or none of this machine.",
        "Give another --port or --host.",
    ),
    # Operations page
    ErrorEntry(
        "LW7001",
        ("There is no such page.", "This form is too old or was not made by this page", "The form cannot be read."),
        "The operations page refuses a request: no such page, an expired form, or no right to act.",
        "Reload the page, or log in with the service's admin key.",
    ),
)

ERRORS: Mapping[str, ErrorEntry] = {entry.code: entry for entry in (*_ENTRIES, *SERVER_ENTRIES)}
"""All entries by code, in the order of the codes."""


def error_page() -> str:
    """Returns docs/errors.md."""
    lines = [
        "# Errors",
        "",
        "Every error message ends with a code, such as `[LW2002]`. `labelwright explain LW2002` prints its entry.",
        "Responses of the labeling service and of the receiver have it as `error_code`.",
        "A code keeps its meaning in all later versions, so that scripts and notes can refer to it.",
        "In Python, errors have it as `error_code`. Capitals in a message are filled in.",
        "Exit codes: [command line](command-line.md).",
        "",
        "This page is made from the table in `src/labelwright/domain/error_table.py`:",
        "`python -m labelwright.domain.error_table > docs/errors.md`.",
    ]
    area = ""
    for entry in ERRORS.values():
        if entry.area != area:
            area = entry.area
            lines += ["", f"## {area}"]
        lines += [
            "",
            f"### {entry.code}",
            "",
            *(f"- {pattern}" for pattern in entry.patterns),
            "",
            f"**Cause.** {entry.cause}",
            "",
            f"**Remedy.** {entry.remedy}",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(error_page())
