-- Run once, when the volume is empty. Names are compared byte by byte, so the collation of the server does not matter.
CREATE DATABASE prefect ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE ledger ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE service ENCODING 'UTF8' TEMPLATE template0;
