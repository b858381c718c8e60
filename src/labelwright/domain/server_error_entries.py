"""Entries of what the servers refuse: the labeling service, the receiver; and of what `doctor` finds."""

from __future__ import annotations

from .error_entry import ErrorEntry

SERVER_ENTRIES = (
    # REST API of the labeling service
    ErrorEntry(
        "LW8001",
        ("the Host header names no host", "nonce is 64 hexadecimal digits"),
        "HTTP 400: the request cannot be understood, or its method or media type is none of this route's.",
        "Send what the API's description at `/docs` has for this route.",
    ),
    ErrorEntry(
        "LW8002",
        ("send the headers Authentication-Key and Authentication-Secret of a known pair",),
        "HTTP 401: the request has no key, or one that is not known, was withdrawn or has expired.",
        "Send a key that is valid. For a new key of a labeler: `labelwright labeler-key CAMPAIGN --rotate`.",
    ),
    ErrorEntry(
        "LW8003",
        ("this needs an admin's key",),
        "HTTP 403: the key is known, and may not do this.",
        "Use the key of an admin, or of a labeler of this campaign.",
    ),
    ErrorEntry(
        "LW8004",
        ("Not Found",),
        "HTTP 404: there is no such thing, or this key may not see it. Both look the same.",
        "Check the number in the URL. A labeler's key sees the labeler's own campaigns only.",
    ),
    ErrorEntry(
        "LW8005",
        ("Method Not Allowed",),
        "HTTP 405: the route exists, for other methods.",
        "Use a method of the response's Allow header.",
    ),
    ErrorEntry(
        "LW8006",
        ("the campaign is STATE, not active: it takes no labels", "there is a campaign 'TITLE' already"),
        "HTTP 409: the present state forbids it, or something of that name exists.",
        "Read the present state, and decide anew. Sending the same request again changes nothing.",
    ),
    ErrorEntry(
        "LW8007",
        ("other objects were stored for this image since you opened it",),
        "HTTP 412: the image was changed after it was read.",
        "Read it again, and send the change with its new revision.",
    ),
    ErrorEntry(
        "LW8008",
        ("a body is at most BYTES bytes here: send it in parts",),
        "HTTP 413: the body of the request, or the image, is larger than the service takes.",
        "Send it in parts, or smaller (docs/campaign_api.md has the limits).",
    ),
    ErrorEntry(
        "LW8009",
        ("the body is not JSON",),
        "HTTP 422: the request contradicts the API's description, the label schema, or itself.",
        "Correct the places in `details.faults`: all faults of the request are in there.",
    ),
    ErrorEntry(
        "LW8010",
        ("send the revision that you have seen in If-Match",),
        "HTTP 428: a change of an image has to say which revision it is based on.",
        "Send the revision of the image as it was read, in the header If-Match.",
    ),
    ErrorEntry(
        "LW8011",
        ("the service failed; its log says why",),
        "HTTP 500: a fault of the service.",
        "Read `logs/service.log` in the home folder, and please report it.",
    ),
    ErrorEntry(
        "LW8012",
        (
            "the service's database cannot be used right now (locked, full or away): try again",
            "the service holds as many request bodies as it has memory for: try again",
        ),
        "HTTP 503: the service, its database or its storage is busy or away.",
        "Send the request again after the seconds in Retry-After. If it lasts, look at the disk and the database.",
    ),
    # Receiver
    ErrorEntry(
        "LW8101",
        ("this request is not from the platform", "the secret is missing or wrong"),
        "A notification has no signature or secret, or a wrong one.",
        "Give the platform, or Event Grid, the secret that the receiver's settings have (docs/unattended.md).",
    ),
    ErrorEntry(
        "LW8102",
        ("no such connection", "PLATFORM has no webhooks"),
        "The URL of the notification names a connection that the receiver does not have, or of a platform without any.",
        "Correct the URL at the platform, or configure the connection where the receiver runs.",
    ),
    ErrorEntry(
        "LW8103",
        ("this request cannot be read", "the request is not JSON", "the request is nested too deeply"),
        "The body of the notification is none that the platform sends.",
        "Look at what stands between the platform and the receiver, such as a proxy that changes bodies.",
    ),
    ErrorEntry(
        "LW8104",
        ("the request is too large", "the request was sent too slowly"),
        "A notification has more than 1 MiB, or took more than 10 seconds to arrive.",
        "Notifications of the platforms are smaller: look at who sends it.",
    ),
    ErrorEntry(
        "LW8105",
        ("it could not be stored; send it again",),
        "The ledger was locked or away when the notification came.",
        "The platform sends it again. If it lasts: `labelwright doctor`.",
    ),
    ErrorEntry(
        "LW8106",
        ("no Event Grid secret is configured here", "no drop container is configured here"),
        "The receiver has no settings for Event Grid.",
        "Set LABELWRIGHT_RECEIVER__EVENT_GRID_SECRET and LABELWRIGHT_RECEIVER__DROP_CONTAINER (docs/unattended.md).",
    ),
    # doctor
    ErrorEntry(
        "LW9001",
        ("PACKAGE is not installed", "PACKAGE is VERSION, and this version of Labelwright needs RANGE"),
        "A package that Labelwright needs is missing, or has a version outside of its range.",
        "Install what the finding names.",
    ),
    ErrorEntry(
        "LW9002",
        ("FOLDER cannot be written", "the disk of FOLDER is full: SIZE are free"),
        "The home folder cannot be written, or its disk is full or nearly full.",
        "Give the user the right, make room, or set LABELWRIGHT_HOME.",
    ),
    ErrorEntry(
        "LW9003",
        ("the role ROLE lacks rights: RIGHTS", "its database has no ledger"),
        "The ledger's database cannot be used as it is: rights, version, place or clock.",
        "Do what the finding advises; roles and rights: docs/operating.md.",
    ),
    ErrorEntry(
        "LW9004",
        ("deployment NAME is missing", "work pool 'NAME' is paused"),
        "Prefect does not start runs as it should: a deployment, its schedule, a queue, the pool or a worker.",
        "Run the command that the finding names; `labelwright deploy` registers all deployments again.",
    ),
    ErrorEntry(
        "LW9005",
        ("the size of NAME could not be read: REASON",),
        "A database or folder has grown large, or cannot be looked at.",
        "Do what the finding advises: a retention removes what is old.",
    ),
    ErrorEntry(
        "LW9006",
        ("SETTING differs: VALUES", "versions differ: VERSIONS"),
        "Machines of one team have different settings or versions.",
        "Set the same value everywhere: receiver, workers and the machine that deploys.",
    ),
    ErrorEntry(
        "LW9007",
        ("CONTAINER is not there", "there is no block NAME, and every run would fail"),
        "The storage in which Prefect keeps results of runs is configured and does not work.",
        "Register it with `labelwright deploy`, or correct LABELWRIGHT_RESULTS__... of this machine.",
    ),
    ErrorEntry(
        "LW9008",
        ("a cluster is configured, and prefect-dask is not installed",),
        "The Dask cluster for batches is configured and cannot be used.",
        "Install what is missing, start the cluster, or remove LABELWRIGHT_DASK_SCHEDULER.",
    ),
    ErrorEntry(
        "LW9009",
        (
            "FOLDER is not on this machine",
            "COUNT campaigns write datasets into a folder of whichever machine exports them",
        ),
        "With several machines, a folder for datasets has to be the same one on each.",
        "Mount it under the same path everywhere, and name it in LABELWRIGHT_SHARED_FOLDERS.",
    ),
    ErrorEntry(
        "LW9010",
        ("COUNT are on one machine only: CAMPAIGNS",),
        "Labelers' keys are on one machine, or the machines have different team keys.",
        "Set LABELWRIGHT_TEAM_KEY_FILE to the same key everywhere.",
    ),
    ErrorEntry(
        "LW9011",
        ("there is no platform 'NAME'", "none is configured; known platforms: NAMES"),
        "A connection to a platform is missing, or its settings are wrong.",
        "Correct LABELWRIGHT_CONNECTIONS__NAME__..., or start the embedded service with `labelwright serve`.",
    ),
    ErrorEntry(
        "LW9012",
        ("this machine's clock is SECONDS seconds behind that of SERVER",),
        "The clocks of two machines differ: leases and signatures depend on them.",
        "Set both clocks by NTP.",
    ),
    ErrorEntry(
        "LW9013",
        ("did not answer within SECONDS seconds",),
        "A check did not come to an end in its time.",
        "Look at the server that the check asks, and at the network between; then run `labelwright doctor` again.",
    ),
    ErrorEntry(
        "LW9014",
        ("this check failed: ERROR",),
        "A check failed in a way that was not foreseen.",
        "Please report it, with the finding.",
    ),
)
