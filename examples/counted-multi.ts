/** A Multi that counts how often it calls out, whoever plugs it in. */
import { Multi, type MultiOptions, type TimerFunction } from 'sockmux'

export class CountedMulti extends Multi {
  socketFunctionCalls = 0
  timerFunctionCalls = 0

  override setSocketFunction(socketFunction: MultiOptions['socketFunction']): void {
    super.setSocketFunction(
      socketFunction &&
        ((fd, interest, socketData, subject) => {
          this.socketFunctionCalls++
          return socketFunction(fd, interest, socketData, subject)
        }),
    )
  }

  override setTimerFunction(timerFunction: TimerFunction | null): void {
    super.setTimerFunction(
      timerFunction &&
        ((timeoutMs) => {
          this.timerFunctionCalls++
          return timerFunction(timeoutMs)
        }),
    )
  }
}
