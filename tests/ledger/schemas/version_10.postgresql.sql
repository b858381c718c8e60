-- A ledger as version 10 of the tables held it, with a little of everything. Never edited.
CREATE TABLE campaigns (
  title VARCHAR COLLATE "C" NOT NULL,
  state VARCHAR COLLATE "C" NOT NULL,
  state_before VARCHAR COLLATE "C",
  reason VARCHAR COLLATE "C",
  spec JSON NOT NULL,
  image_set VARCHAR COLLATE "C",
  remote_id VARCHAR COLLATE "C",
  images INTEGER,
  done INTEGER NOT NULL,
  total INTEGER NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  looked_at TIMESTAMP WITH TIME ZONE,
  unanswered_notes INTEGER,
  PRIMARY KEY (title)
);
CREATE TABLE drops (
  key VARCHAR COLLATE "C" NOT NULL,
  blob VARCHAR COLLATE "C" NOT NULL,
  etag VARCHAR COLLATE "C" NOT NULL,
  campaign VARCHAR COLLATE "C" NOT NULL,
  launched_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (key)
);
CREATE TABLE facts (
  name VARCHAR COLLATE "C" NOT NULL,
  value VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE inbox (
  number SERIAL NOT NULL,
  id VARCHAR COLLATE "C" NOT NULL,
  source VARCHAR COLLATE "C" NOT NULL,
  key VARCHAR COLLATE "C" NOT NULL,
  event VARCHAR COLLATE "C" NOT NULL,
  resource JSON NOT NULL,
  payload JSON NOT NULL,
  received_at TIMESTAMP WITH TIME ZONE NOT NULL,
  emitted_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (number),
  UNIQUE (source, key)
);
CREATE INDEX ix_inbox_emitted_at ON inbox (emitted_at);
CREATE TABLE leases (
  name VARCHAR COLLATE "C" NOT NULL,
  token VARCHAR COLLATE "C" NOT NULL,
  holder VARCHAR COLLATE "C" NOT NULL,
  run VARCHAR COLLATE "C",
  machine VARCHAR COLLATE "C" NOT NULL,
  pid BIGINT NOT NULL,
  process_start VARCHAR COLLATE "C",
  taken_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  renewals INTEGER NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE datasets (
  campaign VARCHAR COLLATE "C" NOT NULL,
  name VARCHAR COLLATE "C" NOT NULL,
  version VARCHAR COLLATE "C" NOT NULL,
  location VARCHAR COLLATE "C" NOT NULL,
  content_hash VARCHAR COLLATE "C" NOT NULL,
  registered_at TIMESTAMP WITH TIME ZONE NOT NULL,
  host VARCHAR COLLATE "C",
  store VARCHAR COLLATE "C",
  PRIMARY KEY (campaign, name, version),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE TABLE effects (
  campaign VARCHAR COLLATE "C" NOT NULL,
  step VARCHAR COLLATE "C" NOT NULL,
  store VARCHAR COLLATE "C" NOT NULL,
  workspace VARCHAR COLLATE "C" NOT NULL,
  folder VARCHAR COLLATE "C" NOT NULL,
  earlier_item VARCHAR COLLATE "C" NOT NULL,
  batch INTEGER NOT NULL,
  first_image INTEGER NOT NULL,
  last_image INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  intended_at TIMESTAMP WITH TIME ZONE NOT NULL,
  done_at TIMESTAMP WITH TIME ZONE,
  outcome VARCHAR COLLATE "C",
  PRIMARY KEY (campaign, step, store, workspace, folder, earlier_item, batch, first_image, last_image, generation, attempt),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE TABLE events (
  number SERIAL NOT NULL,
  id VARCHAR COLLATE "C" NOT NULL,
  campaign VARCHAR COLLATE "C" NOT NULL,
  kind VARCHAR COLLATE "C" NOT NULL,
  key VARCHAR COLLATE "C" NOT NULL,
  payload JSON NOT NULL,
  occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
  emitted_at TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY (number),
  UNIQUE (campaign, kind, key),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX ix_events_emitted_at ON events (emitted_at);
CREATE TABLE images (
  campaign VARCHAR COLLATE "C" NOT NULL,
  name VARCHAR COLLATE "C" NOT NULL,
  position INTEGER,
  location VARCHAR COLLATE "C" NOT NULL,
  stamp VARCHAR COLLATE "C",
  sha256 VARCHAR COLLATE "C" NOT NULL,
  md5 VARCHAR COLLATE "C" NOT NULL,
  bytes BIGINT NOT NULL,
  width INTEGER NOT NULL,
  height INTEGER NOT NULL,
  format VARCHAR COLLATE "C" NOT NULL,
  pass VARCHAR COLLATE "C" NOT NULL,
  stored INTEGER NOT NULL,
  remote_id VARCHAR COLLATE "C",
  source_name VARCHAR COLLATE "C",
  split_group VARCHAR COLLATE "C",
  video VARCHAR COLLATE "C",
  frame BIGINT,
  time_seconds DOUBLE PRECISION,
  PRIMARY KEY (campaign, name),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX images_by_remote_id ON images (campaign, remote_id);
CREATE INDEX images_in_order ON images (campaign, position);
CREATE TABLE moves (
  id SERIAL NOT NULL,
  campaign VARCHAR COLLATE "C" NOT NULL,
  was VARCHAR COLLATE "C" NOT NULL,
  became VARCHAR COLLATE "C" NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  why VARCHAR COLLATE "C",
  PRIMARY KEY (id),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX ix_moves_campaign ON moves (campaign);
CREATE TABLE progress (
  id SERIAL NOT NULL,
  campaign VARCHAR COLLATE "C" NOT NULL,
  labeler VARCHAR COLLATE "C" NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  done INTEGER NOT NULL,
  total INTEGER NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX progress_in_order ON progress (campaign, labeler, id);
CREATE TABLE rejects (
  id SERIAL NOT NULL,
  campaign VARCHAR COLLATE "C" NOT NULL,
  name VARCHAR COLLATE "C" NOT NULL,
  reason VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX ix_rejects_campaign ON rejects (campaign);
CREATE TABLE left_out (
  campaign VARCHAR COLLATE "C" NOT NULL,
  kind VARCHAR COLLATE "C" NOT NULL,
  reason VARCHAR COLLATE "C" NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (campaign, kind, reason),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE TABLE exports (
  id SERIAL NOT NULL,
  campaign VARCHAR COLLATE "C" NOT NULL,
  name VARCHAR COLLATE "C" NOT NULL,
  version VARCHAR COLLATE "C" NOT NULL,
  store VARCHAR COLLATE "C" NOT NULL,
  serial BIGINT NOT NULL,
  receipt_sha256 VARCHAR COLLATE "C",
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE INDEX exports_in_order ON exports (campaign, name, id);
CREATE TABLE waits (
  name VARCHAR COLLATE "C" NOT NULL,
  until TIMESTAMP WITH TIME ZONE NOT NULL,
  reason VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE image_states (
  campaign VARCHAR COLLATE "C" NOT NULL,
  state VARCHAR COLLATE "C" NOT NULL,
  images INTEGER NOT NULL,
  listed JSON NOT NULL,
  PRIMARY KEY (campaign, state),
  FOREIGN KEY(campaign) REFERENCES campaigns (title) ON DELETE CASCADE
);
CREATE TABLE runs (
  run VARCHAR COLLATE "C" NOT NULL,
  began_at TIMESTAMP WITH TIME ZONE,
  attempt INTEGER NOT NULL,
  followed_by VARCHAR COLLATE "C",
  PRIMARY KEY (run)
);
CREATE TABLE labeler_keys (
  connection VARCHAR COLLATE "C" NOT NULL,
  labeler VARCHAR COLLATE "C" NOT NULL,
  sealed VARCHAR COLLATE "C",
  proof VARCHAR COLLATE "C" NOT NULL,
  host VARCHAR COLLATE "C" NOT NULL,
  folder VARCHAR COLLATE "C" NOT NULL,
  kept_at TIMESTAMP WITH TIME ZONE NOT NULL,
  PRIMARY KEY (connection, labeler)
);
INSERT INTO facts VALUES ('schema', '10');
INSERT INTO campaigns (title, state, spec, image_set, remote_id, images, done, total, created_at, looked_at, unanswered_notes) VALUES
  ('river', 'active', '{"title": "river"}', '3', '4', 2, 1, 2, '2026-11-01 08:00:00.000000+00', '2026-11-02 08:00:00.000000+00', 2);
INSERT INTO images (campaign, name, position, location, stamp, sha256, md5, bytes, width, height, format, pass, stored, remote_id, video, frame, time_seconds) VALUES
  ('river', 'B.jpg', 1, '/photos/B.jpg', '1/5', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 5, 60, 40, 'JPEG', 'p', 1, '11', NULL, NULL, NULL),
  ('river', 'a.jpg', 2, '/photos/a.jpg', '1/5', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'dddddddddddddddddddddddddddddddd', 5, 60, 40, 'JPEG', 'p', 1, '12', 'a.mp4', 150, 5.005);
INSERT INTO rejects (campaign, name, reason) VALUES ('river', 'c.jpg', 'is empty');
INSERT INTO effects VALUES ('river', 'create campaign', '', '', '', '', 0, 0, 0, 0, 0, '2026-11-01 08:00:00.000000+00', '2026-11-01 08:00:01.000000+00', '4');
INSERT INTO effects VALUES ('river', 'activate', '', '', '', '', 0, 0, 0, 0, 0, '2026-11-01 08:01:00.000000+00', NULL, NULL);
INSERT INTO moves (campaign, was, became, at, why) VALUES ('river', 'created', 'active', '2026-11-01 08:01:00.000000+00', NULL);
INSERT INTO datasets VALUES ('river', 'river_labels', '1', '/datasets/river_labels/v1', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', '2026-11-01 09:00:00.000000+00', 'worker-1', 'local /datasets');
INSERT INTO progress (campaign, labeler, at, done, total) VALUES ('river', '', '2026-11-02 08:00:00.000000+00', 1, 2);
INSERT INTO events (id, campaign, kind, key, payload, occurred_at) VALUES
  ('00000000-0000-4000-8000-000000000001', 'river', 'activated', '1', '{"was": "created"}', '2026-11-01 08:01:00.000000+00');
INSERT INTO inbox (id, source, key, event, resource, payload, received_at) VALUES
  ('00000000-0000-4000-8000-000000000002', 'webhook', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 'labelwright.webhook.received', '{}', '{}', '2026-11-02 08:00:00.000000+00');
INSERT INTO drops VALUES ('0000000000000000000000000000000000000000000000000000000000000000', 'drop/river/campaign.yaml', 'e1', 'river', '2026-11-01 07:59:00.000000+00');
INSERT INTO left_out VALUES ('river', 'shapes', 'polyline', 3);
INSERT INTO exports (campaign, name, version, store, serial, receipt_sha256, at) VALUES
  ('river', 'river_labels', '1', 'local /datasets', 1, '9999999999999999999999999999999999999999999999999999999999999999', '2026-11-01 09:00:00.000000+00');
INSERT INTO waits VALUES ('connection agency', '2026-11-02 09:00:00.000000+00', 'agency answered 429');
INSERT INTO image_states VALUES ('river', 'failed', 1, '[["a.jpg", "403 from store.example/a.jpg"]]');
INSERT INTO runs VALUES ('7b1c2c7e-0000-4000-8000-000000000001', '2026-11-01 08:00:00+00:00', 1, NULL);
INSERT INTO labeler_keys VALUES ('campaign_api', 'ann@example.com', NULL, 'c2FsdA== aGFzaA==', 'worker-1', '/home/ann/.labelwright', '2026-11-01 08:00:00+00');
