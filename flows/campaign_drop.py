from prefect import flow


@flow(name="launch-from-drop", flow_run_name="launch from {blob}")
def launch_from_drop(blob: str, etag: str) -> str:
    return blob
