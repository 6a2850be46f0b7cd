/** Whatever libmicrohttpd's header declares for servers is on the page, and answered. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { describeWhen, findHeader } from '../support/peers.ts'
import { readText } from '../support/source-tree.ts'

const PAGE = 'docs/from-libmicrohttpd.md'
const page = readText(PAGE)

/** Without their MHD_; those of 0.9.75 and what 1.0 added. */
const FUNCTIONS = `
  add_connection add_response_footer add_response_header basic_auth_get_username_password
  basic_auth_get_username_password3 create_post_processor create_response_empty create_response_for_upgrade
  create_response_from_buffer create_response_from_buffer_copy create_response_from_buffer_static
  create_response_from_buffer_with_free_callback create_response_from_buffer_with_free_callback_cls
  create_response_from_callback create_response_from_data create_response_from_fd create_response_from_fd64
  create_response_from_fd_at_offset create_response_from_fd_at_offset64 create_response_from_iovec
  create_response_from_pipe del_response_header destroy_post_processor destroy_response
  digest_auth_calc_userdigest digest_auth_calc_userhash digest_auth_calc_userhash_hex digest_auth_check
  digest_auth_check2 digest_auth_check3 digest_auth_check_digest digest_auth_check_digest2
  digest_auth_check_digest3 digest_auth_get_request_info3 digest_auth_get_username digest_auth_get_username3 free
  get_connection_info get_connection_values get_connection_values_n get_daemon_info get_fdset get_fdset2
  get_reason_phrase_for get_reason_phrase_len_for get_response_header get_response_headers get_timeout
  get_timeout64 get_timeout64s get_timeout_i get_version get_version_bin http_unescape is_feature_supported
  lookup_connection_value lookup_connection_value_n post_process queue_auth_fail_response
  queue_auth_fail_response2 queue_auth_required_response3 queue_basic_auth_fail_response
  queue_basic_auth_required_response3 queue_response quiesce_daemon resume_connection run run_from_select
  run_from_select2 run_wait set_connection_option set_connection_value set_connection_value_n set_panic_func
  set_response_options start_daemon start_daemon_va stop_daemon suspend_connection upgrade_action
`
const FLAGS_OPTIONS_CALLBACKS = `
  ALLOW_SUSPEND_RESUME ALLOW_UPGRADE AcceptPolicyCallback AccessHandlerCallback CONNECTION_INFO_CIPHER_ALGO
  CONNECTION_INFO_CLIENT_ADDRESS CONNECTION_INFO_CONNECTION_FD CONNECTION_INFO_CONNECTION_SUSPENDED
  CONNECTION_INFO_CONNECTION_TIMEOUT CONNECTION_INFO_DAEMON CONNECTION_INFO_GNUTLS_CLIENT_CERT
  CONNECTION_INFO_GNUTLS_SESSION CONNECTION_INFO_HTTP_STATUS CONNECTION_INFO_PROTOCOL
  CONNECTION_INFO_REQUEST_HEADER_SIZE CONNECTION_INFO_SOCKET_CONTEXT CONNECTION_NOTIFY_CLOSED
  CONNECTION_NOTIFY_STARTED CONNECTION_OPTION_TIMEOUT CONTENT_READER_END_OF_STREAM CONTENT_READER_END_WITH_ERROR
  COOKIE_KIND ContentReaderCallback ContentReaderFreeCallback DAEMON_INFO_BIND_PORT
  DAEMON_INFO_CURRENT_CONNECTIONS DAEMON_INFO_EPOLL_FD DAEMON_INFO_EPOLL_FD_LINUX_ONLY DAEMON_INFO_FLAGS
  DAEMON_INFO_KEY_SIZE DAEMON_INFO_LISTEN_FD DAEMON_INFO_MAC_KEY_SIZE DIGEST_ALG_AUTO DIGEST_ALG_MD5
  DIGEST_ALG_SHA256 FOOTER_KIND GET_ARGUMENT_KIND HEADER_KIND KeyValueIterator KeyValueIteratorN LogCallback
  NO_FLAG NotifyConnectionCallback OPTION_APP_FD_SETSIZE OPTION_ARRAY OPTION_CLIENT_DISCIPLINE_LVL
  OPTION_CONNECTION_LIMIT OPTION_CONNECTION_MEMORY_INCREMENT OPTION_CONNECTION_MEMORY_LIMIT
  OPTION_CONNECTION_TIMEOUT OPTION_DIGEST_AUTH_DEFAULT_MAX_NC OPTION_DIGEST_AUTH_DEFAULT_NONCE_TIMEOUT
  OPTION_DIGEST_AUTH_NONCE_BIND_TYPE OPTION_DIGEST_AUTH_RANDOM OPTION_DIGEST_AUTH_RANDOM_COPY OPTION_END
  OPTION_EXTERNAL_LOGGER OPTION_GNUTLS_PSK_CRED_HANDLER OPTION_HTTPS_CERT_CALLBACK OPTION_HTTPS_CERT_CALLBACK2
  OPTION_HTTPS_CRED_TYPE OPTION_HTTPS_KEY_PASSWORD OPTION_HTTPS_MEM_CERT OPTION_HTTPS_MEM_DHPARAMS
  OPTION_HTTPS_MEM_KEY OPTION_HTTPS_MEM_TRUST OPTION_HTTPS_PRIORITIES OPTION_HTTPS_PRIORITIES_APPEND
  OPTION_LISTENING_ADDRESS_REUSE OPTION_LISTEN_BACKLOG_SIZE OPTION_LISTEN_SOCKET OPTION_NONCE_NC_SIZE
  OPTION_NOTIFY_COMPLETED OPTION_NOTIFY_CONNECTION OPTION_PER_IP_CONNECTION_LIMIT OPTION_SERVER_INSANITY
  OPTION_SIGPIPE_HANDLED_BY_APP OPTION_SOCK_ADDR OPTION_SOCK_ADDR_LEN OPTION_STRICT_FOR_CLIENT
  OPTION_TCP_FASTOPEN_QUEUE_SIZE OPTION_THREAD_POOL_SIZE OPTION_THREAD_STACK_SIZE OPTION_TLS_NO_ALPN
  OPTION_UNESCAPE_CALLBACK OPTION_URI_LOG_CALLBACK POSTDATA_KIND PanicCallback PostDataIterator
  PskServerCredentialsCallback REQUEST_TERMINATED_CLIENT_ABORT REQUEST_TERMINATED_COMPLETED_OK
  REQUEST_TERMINATED_DAEMON_SHUTDOWN REQUEST_TERMINATED_READ_ERROR REQUEST_TERMINATED_TIMEOUT_REACHED
  REQUEST_TERMINATED_WITH_ERROR RESPMEM_MUST_COPY RESPMEM_MUST_FREE RESPMEM_PERSISTENT RF_HEAD_ONLY_RESPONSE
  RF_HTTP_1_0_COMPATIBLE_STRICT RF_HTTP_1_0_SERVER RF_HTTP_VERSION_1_0_ONLY RF_HTTP_VERSION_1_0_RESPONSE
  RF_INSANITY_HEADER_CONTENT_LENGTH RF_NONE RF_SEND_KEEP_ALIVE_HEADER RO_END RequestCompletedCallback SIZE_UNKNOWN
  UPGRADE_ACTION_CLOSE UPGRADE_ACTION_CORK_OFF UPGRADE_ACTION_CORK_ON USE_AUTO USE_AUTO_INTERNAL_THREAD USE_DEBUG
  USE_DUAL_STACK USE_EPOLL USE_EPOLL_INTERNALLY USE_EPOLL_INTERNALLY_LINUX_ONLY USE_EPOLL_INTERNAL_THREAD
  USE_EPOLL_LINUX_ONLY USE_EPOLL_TURBO USE_ERROR_LOG USE_INSECURE_TLS_EARLY_DATA USE_INTERNAL_POLLING_THREAD
  USE_IPv6 USE_ITC USE_NO_LISTEN_SOCKET USE_PEDANTIC_CHECKS USE_PIPE_FOR_SHUTDOWN USE_POLL USE_POLL_INTERNALLY
  USE_POLL_INTERNAL_THREAD USE_POST_HANDSHAKE_AUTH_SUPPORT USE_SELECT_INTERNALLY USE_SSL
  USE_SUPPRESS_DATE_NO_CLOCK USE_SUSPEND_RESUME USE_TCP_FASTOPEN USE_THREAD_PER_CONNECTION USE_TLS USE_TURBO
  UpgradeHandler
`

function missing(names: Iterable<string>): string[] {
  const told = new Set(page.match(/\bMHD_\w+/g))
  return [...names].filter((name) => !told.has(name))
}

function listed(list: string): string[] {
  return list
    .trim()
    .split(/\s+/)
    .map((name) => `MHD_${name}`)
}

interface Row {
  readonly theirs: string
  readonly ours: string
  readonly notes: string
}

function rowsOf(text: string): Row[] {
  const rows = text.split('\n').filter((line) => line.startsWith('| '))
  return rows.map((line) => {
    const [, theirs = '', ours = '', notes = ''] = line
      .split(' | ')
      .join('|')
      .split('|')
      .map((cell) => cell.trim())
    return { theirs, ours, notes }
  })
}

describe(PAGE, () => {
  it('names every function', () => {
    expect(missing(listed(FUNCTIONS))).toEqual([])
  })

  it('names every flag, option, kind of information and callback', () => {
    expect(missing(listed(FLAGS_OPTIONS_CALLBACKS))).toEqual([])
  })

  it('gives a reason wherever there is nothing', () => {
    const unanswered = rowsOf(page).filter(({ ours, notes }) => ours === '' || (ours === '—' && notes === ''))
    expect(unanswered.map(({ theirs }) => theirs)).toEqual([])
  })

  it('names only types and functions of ours that are public', () => {
    const index = readText('lib/index.ts')
    const named = rowsOf(page).flatMap(({ ours }) => [...ours.matchAll(/`([A-Z]\w+)`/g)].map((match) => match[1]))
    expect(named.length).toBeGreaterThan(20)
    expect([...new Set(named)].filter((name) => !new RegExp(`\\b${name}\\b`).test(index))).toEqual([])
  })
})

const header = findHeader('microhttpd.h')

describeWhen(header !== null, `${PAGE} beside the header`, 'needs microhttpd.h', () => {
  it('names every function, flag and option that is declared', () => {
    const declared = readFileSync(header as string, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
    const names = declared.match(/\bMHD_(?:[a-z]\w*(?=\s*\()|(?:USE|ALLOW|OPTION|RF|RESPMEM)_\w+)/g)
    expect(missing(new Set(names))).toEqual([])
  })
})
