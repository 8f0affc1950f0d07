/**
 * The emon.toml of a new installation: every setting, by section, those with their default commented out.
 * What the environment gave is written as a value, so that it holds after a reboot too.
 */

import { type Config, listSettings } from './config.ts'

/** Settings that say where this file is: they are given by whoever reads it. */
const LEFT_OUT: ReadonlySet<string> = new Set(['data'])

const INTRODUCTION = `# emon-metrics. What is commented out has the value that is shown. The environment is
# stronger than this file; \`bun run config\` prints what is in force and where it came from.
# After a change: HUP to the process, or restart it. Carbon's own files are read when they lie
# beside this one: relay.conf, storage-schemas.conf, storage-aggregation.conf.
`

const SECTIONS: Readonly<Record<string, string>> = {
  log: 'Every process also writes to log/NAME.log in the data folder when monit runs it.',
  central: 'Names that this machine sends on start with HOSTING.SERVICE.',
  relay: 'Points come in here. A port can be off.',
  store:
    'Retentions are STEP:KEEP, finest first. They hold where no storage-schemas.conf says otherwise.',
  api: '/render, /metrics and what Grafana asks for.',
  mailer: 'Alerts, and whatever else this machine mails, go out through the relayhost.',
  monit: 'A port for its web page; user emon, password in the monitrc.',
}

export function emonToml(config: Config): string {
  let text = INTRODUCTION
  let section = ''
  for (const { setting, value, source } of listSettings(config)) {
    if (LEFT_OUT.has(setting)) continue
    const [table, key] = setting.includes('.') ? setting.split('.') : ['', setting]
    if (table !== section) {
      text += `\n${SECTIONS[table!] ? `# ${SECTIONS[table!]}\n` : ''}[${table}]\n`
      section = table!
    } else if (section === '' && text === INTRODUCTION) text += '\n'
    text += `${source === 'default' ? '# ' : ''}${key} = ${literal(value)}\n`
  }
  return text
}

/** TOML's strings are JSON's, as far as JSON.stringify goes. */
function literal(value: unknown): string {
  return JSON.stringify(value ?? 'none')
}
