/** The program of each thread of `sockmux serve --threads N`. What it serves is the data of its server. */
import type { HttpRequest, HttpResponse, Server, ServerModule } from '../index.ts'
import { ServeDesk } from './serve-desk.ts'
import type { ServeSettings } from './serve-settings.ts'

let desk: ServeDesk | null = null

export function setup(server: Server): void {
  desk = new ServeDesk(server.data as ServeSettings)
}

export function handler(request: HttpRequest): HttpResponse {
  return (desk as ServeDesk).answer(request)
}

export function stop(): void {
  desk?.flush()
}

export const options: NonNullable<ServerModule['options']> = {
  onRequestEnd: (request, end, timings) => desk?.tell(request, end, timings),
}
