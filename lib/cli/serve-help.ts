/** What `sockmux serve --help` prints; docs/cli.md says more. */

export const DEFAULT_HOST = 'localhost'
export const DEFAULT_PORT = 8080
export const GRACE_SECONDS = 10

export const SERVE_HELP: string = `usage: sockmux serve [options] [DIR]

Serves the files below DIR, by default the current directory, over HTTP: ranges, conditional requests, index.html,
listings of directories. Ctrl-C stops it.

what
      --no-listing             no listings of directories without index.html
  -a, --all                    names that begin with a dot as well
      --follow                 links that lead out of DIR as well

where
  -H, --host ADDRESS           an address of this machine, or '*' for all of them; default ${DEFAULT_HOST}
  -p, --port N                 default ${DEFAULT_PORT}; 0 for any that is free
      --unix PATH              a unix socket; '@NAME' an abstract one
      --tls-certificate FILE   the chain in PEM, own certificate first: https
      --tls-key FILE           its key
Sockets that a service manager passes (LISTEN_FDS) are served instead of these.

how many, how long
      --max-connections N      at a time; others wait. Default: half of the descriptors that the process may open
      --threads N              serve in so many threads; default 1, in that of the command
      --grace SECONDS          what is being sent may take so long after Ctrl-C; default ${GRACE_SECONDS}

what you see
      --log FORMAT             of the access log on stdout: combined (the default), common or json
  -q, --quiet                  no access log, errors only
  -h, --help                   this text

SIGINT (Ctrl-C) and SIGTERM let answers that have begun end; a second one stops at once. Ends with status 0 when it was
stopped so, 1 when it could not listen, 2 when the options are wrong, 130 or 143 after a second signal.`
