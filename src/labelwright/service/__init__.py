"""The embedded labeling platform: the campaign REST API.

`app.create_app(config)` gives the application, `run.serve(config)` serves it. The API: `docs/campaign_api.md`.
"""

from .config import AzureStorage, Limits, ServiceConfig

__all__ = ["AzureStorage", "Limits", "ServiceConfig"]
