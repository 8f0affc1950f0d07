/**
 * sendmail(1), as cron, monit, PHP and mail(1) call it: reads a message, gives it to the mailer.
 *
 * It goes to mail.sock; where that cannot be reached, to the SMTP port; where nobody listens, into queue/drop,
 * for the mailer to find when it is back. Exit codes are those of sysexits.h.
 *
 * Options taken: -t (recipients from To, Cc and Bcc), -i and -oi (a lone dot does not end the message), -f and
 * -r ADDRESS (sender), -F NAME, -bm. -bp and -q are mailq's, -bs talks SMTP; the others that Postfix
 * takes are accepted and ignored.
 */

import type { MailAnswer, MailEnvelope } from '../ipc/mail-protocol.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { addressesIn } from './address.ts'
import { encodeText, Headers, latin1 } from './headers.ts'

/** sysexits.h */
export const Exit = {
  ok: 0,
  usage: 64,
  dataError: 65,
  noUser: 67,
  unavailable: 69,
  software: 70,
  cannotCreate: 73,
  temporary: 75,
} as const

export interface SendmailCommand {
  readonly mode: 'send' | 'list' | 'flush' | 'smtp'
  readonly recipientsFromHeader: boolean
  readonly dotEnds: boolean
  readonly from: string | undefined
  readonly fullName: string | undefined
  readonly recipients: readonly string[]
}

/** Options with a value, which may stand in the same word or in the next. */
const WITH_VALUE = 'fFrBCDdeGhLNOoRVXp'
const MODES: Readonly<Record<string, SendmailCommand['mode']>> = {
  m: 'send',
  p: 'list',
  s: 'smtp',
  i: 'flush',
}

export function parseArguments(words: readonly string[]): Result<SendmailCommand> {
  let mode: SendmailCommand['mode'] = 'send'
  let recipientsFromHeader = false
  let dotEnds = true
  let from: string | undefined
  let fullName: string | undefined
  const recipients: string[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    if (word === '--') {
      recipients.push(...words.slice(i + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      recipients.push(word)
      continue
    }
    const letter = word[1]!
    if (letter === 'b') {
      const wanted = MODES[word[2] ?? '']
      if (!wanted || word === '-bi') return err(`${word} is not possible here`)
      mode = wanted
    } else if (letter === 'q') mode = 'flush'
    else if (WITH_VALUE.includes(letter)) {
      const inWord = word.length > 2
      const value = inWord ? word.slice(2) : words[++i]
      if (value === undefined) return err(`${word} needs a value`)
      if (letter === 'f' || letter === 'r') from = value
      else if (letter === 'F') fullName = value
      else if (letter === 'o' && value === 'i') dotEnds = false
      else if (letter === 'O' && /^IgnoreDots(=true)?$/i.test(value)) dotEnds = false
    } else {
      for (const flag of word.slice(1)) {
        if (flag === 't') recipientsFromHeader = true
        else if (flag === 'i') dotEnds = false
        else if (!'nvmsUEA'.includes(flag)) return err(`there is no option -${flag}`)
      }
    }
  }
  return ok({ mode, recipientsFromHeader, dotEnds, from, fullName, recipients })
}

/** The message and its envelope, made from what was typed and what was read. */
export function composeSubmission(
  command: SendmailCommand,
  input: Uint8Array,
  who: { user: string; hostname: string },
): Result<{ envelope: MailEnvelope; message: Uint8Array }> {
  const body = withCrlf(command.dotEnds ? untilDot(input) : input)
  const { headers, rest } = Headers.parse(body)
  const recipients = [...command.recipients]
  if (command.recipientsFromHeader) {
    const named = ['To', 'Cc', 'Bcc'].flatMap((name) => headers.all(name)).flatMap(addressesIn)
    // As sendmail and Postfix do: addresses on the command line are added to those in the header.
    recipients.push(...named)
    headers.remove('Bcc')
  }
  if (recipients.length === 0) return err('there are no recipients: name them, or use -t and To:')
  const from = command.from === '<>' ? '' : (addressesIn(command.from ?? who.user)[0] ?? '')
  if (!headers.has('From') && from !== '' && command.fullName !== undefined) {
    const address = from.includes('@') ? from : `${from}@${who.hostname}`
    headers.prepend('From', `${phrase(command.fullName)} <${address}>`)
  }
  const message = Buffer.concat([headers.toBytes(), rest])
  return ok({ envelope: { from, recipients: [...new Set(recipients)] }, message })
}

/** What a shell is told. */
export function exitCode(answer: MailAnswer): number {
  if (answer.ok) return Exit.ok
  if (answer.temporary) return Exit.temporary
  return answer.text.startsWith('5.1.') ? Exit.noUser : Exit.unavailable
}

function phrase(name: string): string {
  return /^[ -~]*$/.test(name) ? `"${name.replaceAll(/["\\]/g, '')}"` : encodeText(name)
}

/** Up to a line that is only a dot, as a person ends a message at a terminal. */
function untilDot(input: Uint8Array): Uint8Array {
  const end = /(?:^|\n)\.\r?\n/.exec(latin1(input))
  return end ? input.subarray(0, end.index + (end[0].startsWith('\n') ? 1 : 0)) : input
}

function withCrlf(input: Uint8Array): Uint8Array {
  const text = latin1(input)
  if (!/(?<!\r)\n/.test(text)) return input
  return Buffer.from(text.replaceAll(/\r?\n/g, '\r\n'), 'latin1')
}
