-- A ledger as version 9 of the tables held it, with a little of everything. Never edited.
CREATE TABLE campaigns (
  title VARCHAR(200) NOT NULL,
  state VARCHAR(30) NOT NULL,
  state_before VARCHAR(30),
  reason TEXT,
  spec JSON NOT NULL,
  image_set VARCHAR(200),
  remote_id VARCHAR(200),
  images INTEGER,
  done INTEGER NOT NULL,
  total INTEGER NOT NULL,
  created_at DATETIME NOT NULL,
  looked_at DATETIME,
  PRIMARY KEY (title)
);
CREATE TABLE drops (
  "key" VARCHAR(64) NOT NULL,
  blob TEXT NOT NULL,
  etag VARCHAR(200) NOT NULL,
  campaign VARCHAR(200) NOT NULL,
  launched_at DATETIME NOT NULL,
  PRIMARY KEY ("key")
);
CREATE TABLE facts (
  name VARCHAR(80) NOT NULL,
  value VARCHAR(200) NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE inbox (
  number INTEGER NOT NULL,
  id VARCHAR(36) NOT NULL,
  source VARCHAR(300) NOT NULL,
  "key" VARCHAR(64) NOT NULL,
  event VARCHAR(80) NOT NULL,
  resource JSON NOT NULL,
  payload JSON NOT NULL,
  received_at DATETIME NOT NULL,
  emitted_at DATETIME,
  PRIMARY KEY (number),
  UNIQUE (source, "key")
);
CREATE INDEX ix_inbox_emitted_at ON inbox (emitted_at);
CREATE TABLE leases (
  name VARCHAR(300) NOT NULL,
  token VARCHAR(32) NOT NULL,
  holder TEXT NOT NULL,
  run VARCHAR(36),
  machine VARCHAR(300) NOT NULL,
  pid BIGINT NOT NULL,
  process_start VARCHAR(40),
  taken_at DATETIME NOT NULL,
  expires_at DATETIME NOT NULL,
  renewals INTEGER NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE datasets (
  campaign VARCHAR(200) NOT NULL,
  name VARCHAR(300) NOT NULL,
  version VARCHAR(50) NOT NULL,
  location TEXT NOT NULL,
  content_hash VARCHAR(64) NOT NULL,
  registered_at DATETIME NOT NULL,
  host VARCHAR(300),
  store TEXT,
  PRIMARY KEY (campaign, name, version),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE TABLE effects (
  campaign VARCHAR(200) NOT NULL,
  step VARCHAR(80) NOT NULL,
  store VARCHAR(80) NOT NULL,
  workspace VARCHAR(200) NOT NULL,
  folder VARCHAR(80) NOT NULL,
  earlier_item VARCHAR(200) NOT NULL,
  batch INTEGER NOT NULL,
  first_image INTEGER NOT NULL,
  last_image INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  intended_at DATETIME NOT NULL,
  done_at DATETIME,
  outcome TEXT,
  PRIMARY KEY (campaign, step, store, workspace, folder, earlier_item, batch, first_image, last_image, generation, attempt),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE TABLE events (
  number INTEGER NOT NULL,
  id VARCHAR(36) NOT NULL,
  campaign VARCHAR(200) NOT NULL,
  kind VARCHAR(40) NOT NULL,
  "key" VARCHAR(200) NOT NULL,
  payload JSON NOT NULL,
  occurred_at DATETIME NOT NULL,
  emitted_at DATETIME,
  PRIMARY KEY (number),
  UNIQUE (campaign, kind, "key"),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX ix_events_emitted_at ON events (emitted_at);
CREATE TABLE images (
  campaign VARCHAR(200) NOT NULL,
  name VARCHAR(1024) NOT NULL,
  position INTEGER,
  location TEXT NOT NULL,
  stamp VARCHAR(80),
  sha256 VARCHAR(64) NOT NULL,
  md5 VARCHAR(32) NOT NULL,
  bytes BIGINT NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  format VARCHAR(20) NOT NULL,
  pass VARCHAR(32) NOT NULL,
  stored INTEGER NOT NULL,
  remote_id VARCHAR(200),
  source_name VARCHAR(1024),
  split_group TEXT,
  video VARCHAR(1024),
  frame BIGINT,
  time_seconds DOUBLE,
  PRIMARY KEY (campaign, name),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX images_by_remote_id ON images (campaign, remote_id);
CREATE INDEX images_in_order ON images (campaign, position);
CREATE TABLE moves (
  id INTEGER NOT NULL,
  campaign VARCHAR(200) NOT NULL,
  was VARCHAR(30) NOT NULL,
  became VARCHAR(30) NOT NULL,
  at DATETIME NOT NULL,
  why TEXT,
  PRIMARY KEY (id),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX ix_moves_campaign ON moves (campaign);
CREATE TABLE progress (
  id INTEGER NOT NULL,
  campaign VARCHAR(200) NOT NULL,
  labeler VARCHAR(200) NOT NULL,
  at DATETIME NOT NULL,
  done INTEGER NOT NULL,
  total INTEGER NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX progress_in_order ON progress (campaign, labeler, id);
CREATE TABLE rejects (
  id INTEGER NOT NULL,
  campaign VARCHAR(200) NOT NULL,
  name TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX ix_rejects_campaign ON rejects (campaign);
CREATE TABLE left_out (
  campaign VARCHAR(200) NOT NULL,
  kind VARCHAR(20) NOT NULL,
  reason VARCHAR(200) NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (campaign, kind, reason),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE TABLE exports (
  id INTEGER NOT NULL,
  campaign VARCHAR(200) NOT NULL,
  name VARCHAR(300) NOT NULL,
  version VARCHAR(50) NOT NULL,
  store TEXT NOT NULL,
  serial BIGINT NOT NULL,
  receipt_sha256 VARCHAR(64),
  at DATETIME NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX exports_in_order ON exports (campaign, name, id);
CREATE TABLE waits (
  name VARCHAR(300) NOT NULL,
  until DATETIME NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE image_states (
  campaign VARCHAR(200) NOT NULL,
  state VARCHAR(40) NOT NULL,
  images INTEGER NOT NULL,
  listed JSON NOT NULL,
  PRIMARY KEY (campaign, state),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE TABLE runs (
  run VARCHAR(36) NOT NULL,
  began_at DATETIME,
  attempt INTEGER NOT NULL,
  followed_by VARCHAR(36),
  PRIMARY KEY (run)
);
CREATE TABLE labeler_keys (
  connection VARCHAR(200) NOT NULL,
  labeler VARCHAR(254) NOT NULL,
  sealed TEXT,
  proof VARCHAR(200) NOT NULL,
  host VARCHAR(300) NOT NULL,
  folder TEXT NOT NULL,
  kept_at DATETIME NOT NULL,
  PRIMARY KEY (connection, labeler)
);
INSERT INTO facts VALUES ('schema', '9');
INSERT INTO campaigns (title, state, spec, image_set, remote_id, images, done, total, created_at, looked_at) VALUES
  ('river', 'active', '{"title": "river"}', '3', '4', 2, 1, 2, '2026-11-01 08:00:00.000000', '2026-11-02 08:00:00.000000');
INSERT INTO images (campaign, name, position, location, stamp, sha256, md5, bytes, width, height, format, pass, stored, remote_id, video, frame, time_seconds) VALUES
  ('river', 'B.jpg', 1, '/photos/B.jpg', '1/5', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 5, 60, 40, 'JPEG', 'p', 1, '11', NULL, NULL, NULL),
  ('river', 'a.jpg', 2, '/photos/a.jpg', '1/5', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'dddddddddddddddddddddddddddddddd', 5, 60, 40, 'JPEG', 'p', 1, '12', 'a.mp4', 150, 5.005);
INSERT INTO rejects (campaign, name, reason) VALUES ('river', 'c.jpg', 'is empty');
INSERT INTO effects VALUES ('river', 'create campaign', '', '', '', '', 0, 0, 0, 0, 0, '2026-11-01 08:00:00.000000', '2026-11-01 08:00:01.000000', '4');
INSERT INTO effects VALUES ('river', 'activate', '', '', '', '', 0, 0, 0, 0, 0, '2026-11-01 08:01:00.000000', NULL, NULL);
INSERT INTO moves (campaign, was, became, at, why) VALUES ('river', 'created', 'active', '2026-11-01 08:01:00.000000', NULL);
INSERT INTO datasets VALUES ('river', 'river_labels', '1', '/datasets/river_labels/v1', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', '2026-11-01 09:00:00.000000', 'worker-1', 'local /datasets');
INSERT INTO progress (campaign, labeler, at, done, total) VALUES ('river', '', '2026-11-02 08:00:00.000000', 1, 2);
INSERT INTO events (id, campaign, kind, key, payload, occurred_at) VALUES
  ('00000000-0000-4000-8000-000000000001', 'river', 'activated', '1', '{"was": "created"}', '2026-11-01 08:01:00.000000');
INSERT INTO inbox (id, source, key, event, resource, payload, received_at) VALUES
  ('00000000-0000-4000-8000-000000000002', 'webhook', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 'labelwright.webhook.received', '{}', '{}', '2026-11-02 08:00:00.000000');
INSERT INTO drops VALUES ('0000000000000000000000000000000000000000000000000000000000000000', 'drop/river/campaign.yaml', 'e1', 'river', '2026-11-01 07:59:00.000000');
INSERT INTO left_out VALUES ('river', 'shapes', 'polyline', 3);
INSERT INTO exports (campaign, name, version, store, serial, receipt_sha256, at) VALUES
  ('river', 'river_labels', '1', 'local /datasets', 1, '9999999999999999999999999999999999999999999999999999999999999999', '2026-11-01 09:00:00.000000');
INSERT INTO waits VALUES ('connection agency', '2026-11-02 09:00:00.000000', 'agency answered 429');
INSERT INTO image_states VALUES ('river', 'failed', 1, '[["a.jpg", "403 from store.example/a.jpg"]]');
INSERT INTO runs VALUES ('7b1c2c7e-0000-4000-8000-000000000001', '2026-11-01 08:00:00.000000', 1, NULL);
INSERT INTO labeler_keys VALUES ('campaign_api', 'ann@example.com', NULL, 'c2FsdA== aGFzaA==', 'worker-1', '/home/ann/.labelwright', '2026-11-01 08:00:00.000000');
