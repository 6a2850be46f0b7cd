/** Which directions of a transfer are paused, by the user's last word. Read by the machines after every callback. */
export class Flow {
  receivePaused = false
  sendPaused = false
  /** Since the last look at whether anything moved. */
  resumed = false
}
