-- The embedded service's database at revision 0004: a campaign with a label schema and three images, one of them labeled. Never edited.
-- Its labeler's key and secret: da80a94286db159c34683c709ee43bc8 9b85dfb97b4af34629bdd1d37af1f982
CREATE TABLE public.answers (
    user_id bigint NOT NULL,
    key character varying(255) NOT NULL,
    fingerprint character varying(64) NOT NULL,
    status integer NOT NULL,
    body bytea NOT NULL,
    date_created character varying(32) NOT NULL
);
CREATE TABLE public.predictions (
    campaign_id bigint NOT NULL,
    image_id bigint NOT NULL,
    date_predicted character varying(32) NOT NULL,
    objects text NOT NULL
);
CREATE TABLE public.reopened_images (
    campaign_id bigint NOT NULL,
    image_id bigint NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.blobs (
    id bigint NOT NULL,
    container_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    file character varying(64) NOT NULL,
    size bigint NOT NULL,
    md5 character varying(32),
    content_type text NOT NULL,
    etag character varying(40) NOT NULL,
    modified character varying(40) NOT NULL,
    metadata text
);
CREATE SEQUENCE public.blobs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.blobs_id_seq OWNED BY public.blobs.id;
CREATE TABLE public.blocks (
    id bigint NOT NULL,
    container_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    block_id text NOT NULL,
    file character varying(64) NOT NULL,
    size bigint NOT NULL
);
CREATE SEQUENCE public.blocks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.blocks_id_seq OWNED BY public.blocks.id;
CREATE TABLE public.campaign_images (
    campaign_id bigint NOT NULL,
    "position" bigint NOT NULL,
    image_id bigint NOT NULL,
    done boolean NOT NULL,
    date_labeled character varying(32),
    labeled_by character varying(254),
    objects text
);
CREATE TABLE public.campaigns (
    id bigint NOT NULL,
    title text NOT NULL COLLATE pg_catalog."C",
    metadata text,
    status character varying(16) NOT NULL,
    labeler_id bigint NOT NULL,
    labels text,
    instructions text,
    label_translations text,
    created_by character varying(254) NOT NULL,
    date_created character varying(32) NOT NULL,
    date_started character varying(32),
    date_completed character varying(32),
    date_finished character varying(32),
    total bigint NOT NULL,
    done bigint NOT NULL,
    revision bigint NOT NULL,
    label_schema text
);
CREATE SEQUENCE public.campaigns_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.campaigns_id_seq OWNED BY public.campaigns.id;
CREATE TABLE public.containers (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    sealed boolean NOT NULL
);
CREATE SEQUENCE public.containers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.containers_id_seq OWNED BY public.containers.id;
CREATE TABLE public.image_sets (
    id bigint NOT NULL,
    title text NOT NULL COLLATE pg_catalog."C",
    metadata text,
    status character varying(16) NOT NULL,
    container text NOT NULL COLLATE pg_catalog."C",
    created_by character varying(254) NOT NULL,
    date_created character varying(32) NOT NULL,
    date_finished character varying(32),
    sealed_to text COLLATE pg_catalog."C",
    image_count bigint NOT NULL
);
CREATE SEQUENCE public.image_sets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.image_sets_id_seq OWNED BY public.image_sets.id;
CREATE TABLE public.images (
    id bigint NOT NULL,
    imageset_id bigint NOT NULL,
    "position" bigint NOT NULL,
    file_name text NOT NULL COLLATE pg_catalog."C",
    blob text NOT NULL COLLATE pg_catalog."C",
    width integer NOT NULL,
    height integer NOT NULL,
    filesize bigint NOT NULL,
    filetype character varying(16) NOT NULL,
    date_taken character varying(40),
    lat double precision,
    lon double precision
);
CREATE TABLE public.labelwright_service_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.rejects (
    id bigint NOT NULL,
    imageset_id bigint NOT NULL,
    name text NOT NULL,
    reason text NOT NULL
);
CREATE SEQUENCE public.rejects_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.rejects_id_seq OWNED BY public.rejects.id;
CREATE TABLE public.users (
    id bigint NOT NULL,
    email character varying(254) NOT NULL,
    role character varying(16) NOT NULL,
    key character varying(255) NOT NULL,
    secret_hash text NOT NULL,
    date_created character varying(32) NOT NULL
);
CREATE SEQUENCE public.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;
ALTER TABLE ONLY public.blobs ALTER COLUMN id SET DEFAULT nextval('public.blobs_id_seq'::regclass);
ALTER TABLE ONLY public.blocks ALTER COLUMN id SET DEFAULT nextval('public.blocks_id_seq'::regclass);
ALTER TABLE ONLY public.campaigns ALTER COLUMN id SET DEFAULT nextval('public.campaigns_id_seq'::regclass);
ALTER TABLE ONLY public.containers ALTER COLUMN id SET DEFAULT nextval('public.containers_id_seq'::regclass);
ALTER TABLE ONLY public.image_sets ALTER COLUMN id SET DEFAULT nextval('public.image_sets_id_seq'::regclass);
ALTER TABLE ONLY public.rejects ALTER COLUMN id SET DEFAULT nextval('public.rejects_id_seq'::regclass);
ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);
INSERT INTO public.blobs VALUES (4, 1, 'uploads/set-4/0000.png', '39127ee26d7f0f3deb7faaa377bd2bb8', 252, 'iLwaY3XHlpjAAatdhAO9KQ==', 'image/png', '"0xE36BC49B3EB65E04"', 'Sat, 28 Nov 2026 04:22:19 GMT', NULL);
INSERT INTO public.blobs VALUES (5, 1, 'uploads/set-4/0001.png', '23fecde59120e7a3c8148edd0888e80c', 252, 'iLwaY3XHlpjAAatdhAO9KQ==', 'image/png', '"0x6680D1B512003CF0"', 'Sat, 28 Nov 2026 04:22:19 GMT', NULL);
INSERT INTO public.blobs VALUES (6, 1, 'uploads/set-4/0002.png', '173031159e39d9dd1e339762269222de', 252, 'iLwaY3XHlpjAAatdhAO9KQ==', 'image/png', '"0x1E27EA0A87718826"', 'Sat, 28 Nov 2026 04:22:19 GMT', NULL);
INSERT INTO public.campaign_images VALUES (1, 2, 2, false, NULL, NULL, NULL);
INSERT INTO public.campaign_images VALUES (1, 3, 3, false, NULL, NULL, NULL);
INSERT INTO public.campaign_images VALUES (1, 1, 1, true, '2026-11-28T04:22:19.371372Z', 'partner@example.com', '[{"label":"Plastic","confidence":1,"bounding_box":{"xmin":1,"xmax":30,"ymin":2,"ymax":40}}]');
INSERT INTO public.campaigns VALUES (1, 'river', NULL, 'active', 2, '["Plastic"]', NULL, NULL, 'admin@localhost', '2026-11-28T04:22:19.252789Z', '2026-11-28T04:22:19.288770Z', NULL, NULL, 3, 1, 3, '[{"name": "Plastic", "geometry": "box", "color": "#0072b2", "parent": null, "attributes": [{"name": "state", "values": ["whole", "torn"], "default": null, "required": false}], "translations": {}}]');
INSERT INTO public.containers VALUES (1, 'extra-images', false);
INSERT INTO public.image_sets VALUES (1, 'set-4', NULL, 'finished', 'dropbox-set-4', 'admin@localhost', '2026-11-28T04:22:19.005363Z', '2026-11-28T04:22:19.135634Z', '􏿿', 3);
INSERT INTO public.images VALUES (1, 1, 1, '0000.png', 'uploads/set-4/0000.png', 100, 80, 252, 'PNG', NULL, NULL, NULL);
INSERT INTO public.images VALUES (2, 1, 2, '0001.png', 'uploads/set-4/0001.png', 100, 80, 252, 'PNG', NULL, NULL, NULL);
INSERT INTO public.images VALUES (3, 1, 3, '0002.png', 'uploads/set-4/0002.png', 100, 80, 252, 'PNG', NULL, NULL, NULL);
INSERT INTO public.labelwright_service_version VALUES ('0004');
INSERT INTO public.users VALUES (1, 'admin@localhost', 'admin', 'admin-key', 'scrypt:34588d58a8217d56f66882adc0eb7425:3f66dc08f939a0ab74429617e7ff10f2b227a4b35a578577af5df92f1d3ca05236fc57499e1b8cad138ae94a95f5231d7f54e28946c6a607dab049fc7748c9af', '2026-11-28T04:22:18.522194Z');
INSERT INTO public.users VALUES (2, 'partner@example.com', 'labeler', 'da80a94286db159c34683c709ee43bc8', 'scrypt:bea14fe438283b6704f2edf8b7af9c44:dac5710289b05283e2b61a9752546f8296f1b3d17e3c97e671aa586d1c086c5f9dbb30caee596ea1e8fedf7e51b657983eab114cd9e2410f367655138ee3ba0b', '2026-11-28T04:22:19.249006Z');
SELECT pg_catalog.setval('public.blobs_id_seq', 6, true);
SELECT pg_catalog.setval('public.blocks_id_seq', 1, false);
SELECT pg_catalog.setval('public.campaigns_id_seq', 1, true);
SELECT pg_catalog.setval('public.containers_id_seq', 2, true);
SELECT pg_catalog.setval('public.image_sets_id_seq', 1, true);
SELECT pg_catalog.setval('public.rejects_id_seq', 1, false);
SELECT pg_catalog.setval('public.users_id_seq', 2, true);
ALTER TABLE ONLY public.answers
    ADD CONSTRAINT answers_pkey PRIMARY KEY (user_id, key);
ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT blobs_container_id_name_key UNIQUE (container_id, name);
ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT blobs_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.blocks
    ADD CONSTRAINT blocks_container_id_name_block_id_key UNIQUE (container_id, name, block_id);
ALTER TABLE ONLY public.blocks
    ADD CONSTRAINT blocks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.campaign_images
    ADD CONSTRAINT campaign_images_campaign_id_image_id_key UNIQUE (campaign_id, image_id);
ALTER TABLE ONLY public.campaign_images
    ADD CONSTRAINT campaign_images_pkey PRIMARY KEY (campaign_id, "position");
ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_title_key UNIQUE (title);
ALTER TABLE ONLY public.containers
    ADD CONSTRAINT containers_name_key UNIQUE (name);
ALTER TABLE ONLY public.containers
    ADD CONSTRAINT containers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.image_sets
    ADD CONSTRAINT image_sets_container_key UNIQUE (container);
ALTER TABLE ONLY public.image_sets
    ADD CONSTRAINT image_sets_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.image_sets
    ADD CONSTRAINT image_sets_title_key UNIQUE (title);
ALTER TABLE ONLY public.images
    ADD CONSTRAINT images_imageset_id_file_name_key UNIQUE (imageset_id, file_name);
ALTER TABLE ONLY public.images
    ADD CONSTRAINT images_imageset_id_position_key UNIQUE (imageset_id, "position");
ALTER TABLE ONLY public.images
    ADD CONSTRAINT images_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.predictions
    ADD CONSTRAINT predictions_pkey PRIMARY KEY (campaign_id, image_id);
ALTER TABLE ONLY public.reopened_images
    ADD CONSTRAINT reopened_images_pkey PRIMARY KEY (campaign_id, image_id);
ALTER TABLE ONLY public.labelwright_service_version
    ADD CONSTRAINT labelwright_service_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.rejects
    ADD CONSTRAINT rejects_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key UNIQUE (email);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_key_key UNIQUE (key);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX campaign_images_done ON public.campaign_images USING btree (campaign_id, done, "position");
CREATE INDEX ix_answers_date_created ON public.answers USING btree (date_created);
CREATE INDEX ix_blobs_file ON public.blobs USING btree (file);
CREATE INDEX ix_blocks_file ON public.blocks USING btree (file);
CREATE INDEX ix_campaign_images_image_id ON public.campaign_images USING btree (image_id);
CREATE INDEX ix_campaigns_labeler_id ON public.campaigns USING btree (labeler_id);
CREATE INDEX ix_campaigns_status ON public.campaigns USING btree (status);
CREATE INDEX ix_image_sets_status ON public.image_sets USING btree (status);
CREATE INDEX ix_rejects_imageset_id ON public.rejects USING btree (imageset_id);
ALTER TABLE ONLY public.answers
    ADD CONSTRAINT answers_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.blobs
    ADD CONSTRAINT blobs_container_id_fkey FOREIGN KEY (container_id) REFERENCES public.containers(id);
ALTER TABLE ONLY public.blocks
    ADD CONSTRAINT blocks_container_id_fkey FOREIGN KEY (container_id) REFERENCES public.containers(id);
ALTER TABLE ONLY public.campaign_images
    ADD CONSTRAINT campaign_images_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaigns(id);
ALTER TABLE ONLY public.campaign_images
    ADD CONSTRAINT campaign_images_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.campaigns
    ADD CONSTRAINT campaigns_labeler_id_fkey FOREIGN KEY (labeler_id) REFERENCES public.users(id);
ALTER TABLE ONLY public.images
    ADD CONSTRAINT images_imageset_id_fkey FOREIGN KEY (imageset_id) REFERENCES public.image_sets(id);
ALTER TABLE ONLY public.rejects
    ADD CONSTRAINT rejects_imageset_id_fkey FOREIGN KEY (imageset_id) REFERENCES public.image_sets(id);
ALTER TABLE ONLY public.predictions
    ADD CONSTRAINT predictions_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaigns(id);
ALTER TABLE ONLY public.predictions
    ADD CONSTRAINT predictions_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.images(id);
ALTER TABLE ONLY public.reopened_images
    ADD CONSTRAINT reopened_images_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaigns(id);
ALTER TABLE ONLY public.reopened_images
    ADD CONSTRAINT reopened_images_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.images(id);
