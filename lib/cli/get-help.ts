/** What `sockmux get --help` prints; docs/cli.md says more. */

export const MAX_CONNECTIONS = 16
export const MAX_HOST_CONNECTIONS = 6
export const RETRY_DELAY_SECONDS = 1

export const GET_HELP: string = `usage: sockmux get [options] URL…

Downloads every URL into a file, many at a time. A file grows as NAME.part and gets its name when it is whole.
Without 'scheme://' a URL is http.

where to
  -P, --output-dir DIR         put the files there; made when it is missing
  -o, --output FILE            the name, for one URL; '-' is stdout
  -c, --continue               go on with what an earlier run left
  -f, --force                  replace files that exist
  -i, --input-file FILE        read more URLs from it, one per line; '-' is stdin; '#' begins a comment

how many, how long
  -j, --max-connections N      connections in all; default ${MAX_CONNECTIONS}
      --max-host-connections N to one host; default ${MAX_HOST_CONNECTIONS}
      --limit-rate RATE        bytes per second of each download, as 500k or 1.5m
  -m, --max-time SECONDS       for each attempt
      --connect-timeout SECONDS
                               until connected; default 300
      --retry N                try again after a failure that may pass; default 0
      --retry-delay SECONDS    before the first of them, doubled each time; default ${RETRY_DELAY_SECONDS}

the request
  -X, --method METHOD          default GET, with --data POST
  -d, --data DATA              a body; '@FILE' takes it from a file, '@-' from stdin
  -H, --header 'NAME: VALUE'   add a field, replace one, or leave one out with 'NAME:'; may be repeated
  -u, --user NAME:PASSWORD     who you are
  -L, --location               follow redirects
      --compressed             ask for a compressed body and store it decompressed
      --no-fail                store what comes with a status of 400 or above as well

the way
  -x, --proxy URL              http, https, socks4, socks4a, socks5 or socks5h; '' for none; default: the environment's
      --cacert FILE            trust these certificates instead of the usual ones
  -k, --insecure               do not verify whom it speaks to

what you see
      --json                   one JSON document on stdout at the end
  -v, --verbose                what is sent and received, without bodies
  -q, --quiet                  errors only
  -h, --help                   this text

Ends with status 0 when every download is whole; otherwise with curl's number for the first URL that failed, 2 when the
options are wrong, 130 after Ctrl-C.`
