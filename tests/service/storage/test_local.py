"""The store on this machine."""

from __future__ import annotations

import pytest

from labelwright.service import ServiceConfig
from labelwright.service.database import Database
from labelwright.service.storage.local import DataDirectory


def test_a_kept_file_can_be_read_and_a_missing_one_is_missing(tmp_path):
    database = Database(tmp_path)
    store = DataDirectory(ServiceConfig(tmp_path), database)
    store.open()
    draft = store.draft()
    draft.write((b"a,b\n",))
    md5 = draft.close()
    with database.write() as connection:
        store.put_draft(connection, "label_sets/a.csv", draft, md5, "text/csv")
    with store.kept("label_sets/a.csv") as path:
        assert path.read_bytes() == b"a,b\n"
    with pytest.raises(FileNotFoundError), store.kept("label_sets/b.csv"):
        pass
    database.close()
