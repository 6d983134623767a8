package config

// Example is a configuration with every option. What is commented out shows the default, or is another way to say the same.
const Example = `session:
  store:
    driver: postgres            # mysql, sqlite; the historic names ending in ::Pg, ::MySQL, ::SQLite are understood
    options:
      table: sessions           # or schema.sessions
      database: test            # required; for sqlite the file
      username: test            # default: the user running the program
      password: test            # default: none
      # password_file: /run/secrets/sessions   # instead of password
      # password_env: SESSIONS_PASSWORD        # instead of password
      hostname: localhost       # a socket directory works too
      port: 5432                # default: the database's own
      charset: utf8
      connection_check_threshold: 10   # seconds, default 30; 0 checks before every use
      expiration_timeout: 3600         # seconds, default 1800; timeout is an alias
      autopurge: 0                     # default 1
      autopurge_probability: 0.1       # 0 means never
      application: shop                # default: none
      on_connect: ["SET statement_timeout = '5s'"]
      params: {sslmode: verify-full}   # whatever else the driver's DSN takes; dsn_extra is an alias

      # hash_ids: 1              # 0 stores ids as they are
      # touch_interval: 60       # default: a tenth of expiration_timeout, at most 60; 0 renews at every call
      # max_lifetime: none       # or such as 12h
      # max_data_bytes: 1048576
      # max_open_conns: 16       # sqlite: 4
      # max_idle_conns: 16       # default: max_open_conns
      # conn_max_lifetime: none
      # conn_max_idle_time: none
      # statement_timeout: 30    # 0 or none: no bound
      # batching: 1              # 0 sends each call as a statement of its own
      # max_queue: 10000         # calls of one kind that may wait for a place in a batch
      # purge_batch: 500
      # purge_interval: 60       # seconds between two automatic purges; 0 or none: no limit
      # purge_grace: 600         # how long a revoked session's row stays behind
`
