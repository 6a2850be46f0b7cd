/** The usual media types by the ending of a file's name (IANA's registry); text is UTF-8. */
const TYPES: Readonly<Record<string, string>> = {
  aac: 'audio/aac', apng: 'image/apng', atom: 'application/atom+xml', avif: 'image/avif', bmp: 'image/bmp',
  bz2: 'application/x-bzip2', cjs: 'text/javascript', css: 'text/css',
  csv: 'text/csv', doc: 'application/msword',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document', eot: 'application/vnd.ms-fontobject',
  epub: 'application/epub+zip', flac: 'audio/flac', gif: 'image/gif', gz: 'application/gzip', htm: 'text/html',
  html: 'text/html', ico: 'image/vnd.microsoft.icon', ics: 'text/calendar', jpeg: 'image/jpeg', jpg: 'image/jpeg',
  js: 'text/javascript', json: 'application/json', jsonld: 'application/ld+json', jxl: 'image/jxl', log: 'text/plain',
  m3u8: 'application/vnd.apple.mpegurl', m4a: 'audio/mp4', m4v: 'video/mp4', map: 'application/json',
  md: 'text/markdown', mid: 'audio/midi', mjs: 'text/javascript', mov: 'video/quicktime', mp3: 'audio/mpeg',
  mp4: 'video/mp4', mpeg: 'video/mpeg', odp: 'application/vnd.oasis.opendocument.presentation',
  ods: 'application/vnd.oasis.opendocument.spreadsheet', odt: 'application/vnd.oasis.opendocument.text',
  oga: 'audio/ogg', ogg: 'audio/ogg', ogv: 'video/ogg', opus: 'audio/ogg', otf: 'font/otf', pdf: 'application/pdf',
  png: 'image/png', ppt: 'application/vnd.ms-powerpoint',
  pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation', rss: 'application/rss+xml',
  rtf: 'application/rtf', sh: 'application/x-sh', svg: 'image/svg+xml', tar: 'application/x-tar', tif: 'image/tiff',
  tiff: 'image/tiff', toml: 'application/toml', ts: 'video/mp2t', ttf: 'font/ttf', txt: 'text/plain',
  wasm: 'application/wasm', wav: 'audio/wav', weba: 'audio/webm', webm: 'video/webm',
  webmanifest: 'application/manifest+json', webp: 'image/webp', woff: 'font/woff', woff2: 'font/woff2',
  xhtml: 'application/xhtml+xml', xls: 'application/vnd.ms-excel',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', xml: 'application/xml',
  yaml: 'application/yaml', yml: 'application/yaml', zip: 'application/zip', zst: 'application/zstd',
  '7z': 'application/x-7z-compressed',
} // biome-ignore format: a table

const UNKNOWN = 'application/octet-stream'

/** 'application/octet-stream' for what is not known. */
export function contentTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const dot = name.lastIndexOf('.')
  const ending = dot < 0 ? '' : name.slice(dot + 1).toLowerCase()
  const type = Object.hasOwn(TYPES, ending) ? (TYPES[ending] as string) : UNKNOWN
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type
}
