/** Downloads from URLs as they were given: names are chosen, sinks made, and what is no URL has failed already. */
import { isAbsolute, join } from 'node:path'
import { Transfer } from '../index.ts'
import { type BodySink, NoSink } from './body-sink.ts'
import { type DebugFunction, Download } from './download.ts'
import { DownloadError } from './download-error.ts'
import { FileNames, fileNameOf } from './file-name.ts'
import { FileSink } from './file-sink.ts'
import type { GetSettings } from './get-settings.ts'
import { StdoutSink } from './stdout-sink.ts'

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i

export interface ListCallbacks {
  drained(download: Download): void
  failed(download: Download, error: DownloadError): void
  /** Null: nobody wants to know. */
  debugFor: ((number: number) => DebugFunction) | null
}

export function listDownloads(settings: GetSettings, callbacks: ListCallbacks): Download[] {
  const names = new FileNames()
  return settings.urls.map((given, index) => {
    const url = SCHEME.test(given) ? given : `http://${given}`
    const error = urlError(url)
    const onDebug = callbacks.debugFor?.(index + 1) ?? null
    const origin = error === null ? new URL(url).origin : ''
    const sink = error === null ? sinkFor(url, settings, names, callbacks, () => download) : new NoSink()
    const download: Download = new Download(url, origin, sink, settings, onDebug)
    if (error !== null) download.fail(error)
    return download
  })
}

function urlError(url: string): DownloadError | null {
  const scheme = SCHEME.exec(url)?.[1]?.toLowerCase() as string
  if (scheme !== 'http' && scheme !== 'https') {
    return new DownloadError('UNSUPPORTED_PROTOCOL', `URL scheme '${scheme}' is not supported (http, https)`)
  }
  try {
    new Transfer({ url })
    return null
  } catch (error) {
    return new DownloadError('URL_MALFORMAT', (error as Error).message.replace(/^option url:? /, ''))
  }
}

function sinkFor(
  url: string,
  settings: GetSettings,
  names: FileNames,
  callbacks: ListCallbacks,
  owner: () => Download,
): BodySink {
  const { output, outputDirectory, transfer } = settings
  if (output === '-') {
    return new StdoutSink(
      () => callbacks.drained(owner()),
      (error) => callbacks.failed(owner(), error),
    )
  }
  if (transfer.method?.toUpperCase() === 'HEAD') return new NoSink()
  const name = output ?? names.take(fileNameOf(url))
  return new FileSink(isAbsolute(name) ? name : join(outputDirectory, name), settings)
}
