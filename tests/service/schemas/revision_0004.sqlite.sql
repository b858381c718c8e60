-- The embedded service's database at revision 0004: a campaign with a label schema and three images, one of them labeled. Never edited.
-- Its labeler's key and secret: 3824166dc619375614fdf7ae2f559fcb 07c5d5a964378795b7e13536914dc69d
CREATE TABLE answers (
	user_id INTEGER NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	status INTEGER NOT NULL, 
	body BLOB NOT NULL, 
	date_created VARCHAR(32) NOT NULL, 
	PRIMARY KEY (user_id, "key"), 
	FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE TABLE blobs (
	id INTEGER NOT NULL, 
	container_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	file VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	md5 VARCHAR(32), 
	content_type TEXT NOT NULL, 
	etag VARCHAR(40) NOT NULL, 
	modified VARCHAR(40) NOT NULL, 
	metadata TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (container_id, name), 
	FOREIGN KEY(container_id) REFERENCES containers (id)
);
INSERT INTO "blobs" VALUES(4,1,'uploads/set-1/0000.png','fcae9ae2269fc1f3e4566eff9fb20641',252,'iLwaY3XHlpjAAatdhAO9KQ==','image/png','"0x671FFD7EFFAE72BF"','Sat, 28 Nov 2026 04:22:16 GMT',NULL);
INSERT INTO "blobs" VALUES(5,1,'uploads/set-1/0001.png','5fc47def55cce28c94aec0405da200b4',252,'iLwaY3XHlpjAAatdhAO9KQ==','image/png','"0x8E897F109DCA6074"','Sat, 28 Nov 2026 04:22:16 GMT',NULL);
INSERT INTO "blobs" VALUES(6,1,'uploads/set-1/0002.png','4774cb62a53ddbec16090f9005c267cc',252,'iLwaY3XHlpjAAatdhAO9KQ==','image/png','"0xE4133CAA2D87C8C8"','Sat, 28 Nov 2026 04:22:16 GMT',NULL);
CREATE TABLE blocks (
	id INTEGER NOT NULL, 
	container_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	block_id TEXT NOT NULL, 
	file VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (container_id, name, block_id), 
	FOREIGN KEY(container_id) REFERENCES containers (id)
);
CREATE TABLE campaign_images (
	campaign_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	done BOOLEAN NOT NULL, 
	date_labeled VARCHAR(32), 
	labeled_by VARCHAR(254), 
	objects TEXT, 
	PRIMARY KEY (campaign_id, position), 
	UNIQUE (campaign_id, image_id), 
	FOREIGN KEY(campaign_id) REFERENCES campaigns (id), 
	FOREIGN KEY(image_id) REFERENCES images (id)
);
INSERT INTO "campaign_images" VALUES(1,1,1,1,'2026-11-28T04:22:17.086967Z','partner@example.com','[{"label":"Plastic","confidence":1,"bounding_box":{"xmin":1,"xmax":30,"ymin":2,"ymax":40}}]');
INSERT INTO "campaign_images" VALUES(1,2,2,0,NULL,NULL,NULL);
INSERT INTO "campaign_images" VALUES(1,3,3,0,NULL,NULL,NULL);
CREATE TABLE campaigns (
	id INTEGER NOT NULL, 
	title TEXT NOT NULL, 
	metadata TEXT, 
	status VARCHAR(16) NOT NULL, 
	labeler_id INTEGER NOT NULL, 
	labels TEXT, 
	instructions TEXT, 
	label_translations TEXT, 
	created_by VARCHAR(254) NOT NULL, 
	date_created VARCHAR(32) NOT NULL, 
	date_started VARCHAR(32), 
	date_completed VARCHAR(32), 
	date_finished VARCHAR(32), 
	total INTEGER NOT NULL, 
	done INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	label_schema TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (title), 
	FOREIGN KEY(labeler_id) REFERENCES users (id)
);
INSERT INTO "campaigns" VALUES(1,'river',NULL,'active',2,'["Plastic"]',NULL,NULL,'admin@localhost','2026-11-28T04:22:16.991539Z','2026-11-28T04:22:17.007397Z',NULL,NULL,3,1,3,'[{"name": "Plastic", "geometry": "box", "color": "#0072b2", "parent": null, "attributes": [{"name": "state", "values": ["whole", "torn"], "default": null, "required": false}], "translations": {}}]');
CREATE TABLE containers (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	sealed BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "containers" VALUES(1,'extra-images',0);
CREATE TABLE image_sets (
	id INTEGER NOT NULL, 
	title TEXT NOT NULL, 
	metadata TEXT, 
	status VARCHAR(16) NOT NULL, 
	container TEXT NOT NULL, 
	created_by VARCHAR(254) NOT NULL, 
	date_created VARCHAR(32) NOT NULL, 
	date_finished VARCHAR(32), 
	sealed_to TEXT, 
	image_count INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (title), 
	UNIQUE (container)
);
INSERT INTO "image_sets" VALUES(1,'set-1',NULL,'finished','dropbox-set-1','admin@localhost','2026-11-28T04:22:16.782930Z','2026-11-28T04:22:16.882879Z','􏿿',3);
CREATE TABLE images (
	id INTEGER NOT NULL, 
	imageset_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	file_name TEXT NOT NULL, 
	blob TEXT NOT NULL, 
	width INTEGER NOT NULL, 
	height INTEGER NOT NULL, 
	filesize BIGINT NOT NULL, 
	filetype VARCHAR(16) NOT NULL, 
	date_taken VARCHAR(40), 
	lat FLOAT, 
	lon FLOAT, 
	PRIMARY KEY (id), 
	UNIQUE (imageset_id, position), 
	UNIQUE (imageset_id, file_name), 
	FOREIGN KEY(imageset_id) REFERENCES image_sets (id)
);
INSERT INTO "images" VALUES(1,1,1,'0000.png','uploads/set-1/0000.png',100,80,252,'PNG',NULL,NULL,NULL);
INSERT INTO "images" VALUES(2,1,2,'0001.png','uploads/set-1/0001.png',100,80,252,'PNG',NULL,NULL,NULL);
INSERT INTO "images" VALUES(3,1,3,'0002.png','uploads/set-1/0002.png',100,80,252,'PNG',NULL,NULL,NULL);
CREATE TABLE labelwright_service_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT labelwright_service_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "labelwright_service_version" VALUES('0004');
CREATE TABLE predictions (
	campaign_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	date_predicted VARCHAR(32) NOT NULL, 
	objects TEXT NOT NULL, 
	PRIMARY KEY (campaign_id, image_id), 
	FOREIGN KEY(campaign_id) REFERENCES campaigns (id), 
	FOREIGN KEY(image_id) REFERENCES images (id)
);
CREATE TABLE reopened_images (
	campaign_id INTEGER NOT NULL, 
	image_id INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (campaign_id, image_id), 
	FOREIGN KEY(campaign_id) REFERENCES campaigns (id), 
	FOREIGN KEY(image_id) REFERENCES images (id)
);
CREATE TABLE rejects (
	id INTEGER NOT NULL, 
	imageset_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(imageset_id) REFERENCES image_sets (id)
);
CREATE TABLE users (
	id INTEGER NOT NULL, 
	email VARCHAR(254) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	secret_hash TEXT NOT NULL, 
	date_created VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (email), 
	UNIQUE ("key")
);
INSERT INTO "users" VALUES(1,'admin@localhost','admin','admin-key','scrypt:8025ea4de4d8b79e5da178816672a9e2:187c985f455492fc07d13ac8247079e3e3686bb6caee6259951c489a9bbd6c74ca2cc8ed76de38ad790836ace23abc40f4c8564b4e6bd04cda85021cf296f78d','2026-11-28T04:22:16.238451Z');
INSERT INTO "users" VALUES(2,'partner@example.com','labeler','3824166dc619375614fdf7ae2f559fcb','scrypt:8804cf51f12ea4769d1a109cb1238359:00f1b2e6811007ca93540046532e894bacda9168c27c78d8ac011f62b226a3c444b664d5ba543dddc314d30d71d53d1fb5006a2dc185f4eb38204d254666de7d','2026-11-28T04:22:16.990583Z');
CREATE INDEX ix_answers_date_created ON answers (date_created);
CREATE INDEX ix_blobs_file ON blobs (file);
CREATE INDEX ix_blocks_file ON blocks (file);
CREATE INDEX ix_image_sets_status ON image_sets (status);
CREATE INDEX ix_rejects_imageset_id ON rejects (imageset_id);
CREATE INDEX ix_campaigns_status ON campaigns (status);
CREATE INDEX ix_campaigns_labeler_id ON campaigns (labeler_id);
CREATE INDEX ix_campaign_images_image_id ON campaign_images (image_id);
CREATE INDEX campaign_images_done ON campaign_images (campaign_id, done, position);
