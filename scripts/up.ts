/** The part of ./scripts/up that needs Bun: configuration, monit, waiting. */
import { chownSync, existsSync, symlinkSync } from 'node:fs'
import { type Config, EXIT_CONFIG, listSettings, loadConfig } from '../src/config.ts'
import { emonToml } from '../src/emon-toml.ts'
import { installedMonitrc, monitrcFile, processUser } from '../src/installation.ts'
import { fromUtf8, toUtf8 } from '../src/lib/bytes.ts'
import { systemClock as clock } from '../src/lib/clock.ts'
import { realDisk as disk } from '../src/lib/disk.ts'
import { monitCanName, PROCESSES } from '../src/monitrc.ts'
import { curlLine, NO_ANSWER, waitForPoint, waitUntilReady } from '../src/readiness.ts'
import { Monit } from './monit.ts'

/** A process that starts answers at once, also while it recovers. */
const ANSWER_MS_MAX = 20_000
const READY_MS_MAX = 600_000
/** The stack's own statistics start after 10 s. */
const POINT_MS_MAX = 60_000

const uid = process.getuid?.()
const user = processUser(uid)
const environment: Record<string, string | undefined> = { ...process.env }

const config = readConfig()
makeFolders()
writeConfiguration()
leaveToFile()
if (Bun.which('monit') && Bun.which('tini')) await superviseWithMonit()
else {
  console.log('monit or tini is missing: the processes run here, in the foreground')
  await import('./all.ts')
}

function readConfig(): Config {
  const loaded = loadConfig({ environment, disk })
  if (loaded.ok && monitCanName(loaded.value.data + loaded.value.run)) return loaded.value
  const complaints = loaded.ok ? ['EMON_DATA or EMON_RUN holds a quote or backslash'] : loaded.error
  for (const complaint of complaints) console.error(complaint)
  process.exit(EXIT_CONFIG)
}

function makeFolders(): void {
  const { data, run } = config
  for (const dir of [data, `${data}/log`]) makeOwn(dir, 0o750)
  makeOwn(run, 0o700)
  disk.makeDir(`${data}/monit`, 0o700)
  disk.makeDir(`${data}/monit/events`, 0o700)
  if (!disk.stat(`${data}/log/monit.log`)) disk.open(`${data}/log/monit.log`, 'create').close()
  own(`${data}/log/monit.log`)
}

function makeOwn(dir: string, permissions: number): void {
  disk.makeDir(dir, permissions)
  own(dir)
}

/** Gives a file to the user that the processes run as. */
function own(path: string): void {
  if (user !== undefined) chownSync(path, idOf('-u', user), idOf('-g', user))
}

function idOf(kind: '-u' | '-g', name: string): number {
  return Number(Bun.spawnSync(['id', kind, name]).stdout.toString())
}

function writeConfiguration(): void {
  if (!disk.stat(config.file)) {
    disk.replaceFile(config.file, toUtf8(emonToml(config)), 0o600)
    own(config.file)
    console.log(`wrote ${config.file}`)
  }
}

/**
 * What the file says just as the environment does is left to the file, so that a change there counts when a
 * process starts again. The rest of the environment goes on, until monit is stopped.
 */
function leaveToFile(): void {
  const { EMON_DATA, EMON_CONFIG, EMON_RUN } = environment
  const alone = loadConfig({ environment: { EMON_DATA, EMON_CONFIG, EMON_RUN }, disk })
  if (!alone.ok) return
  const inFile = new Map(listSettings(alone.value).map(({ setting, value }) => [setting, value]))
  for (const { setting, value, source } of listSettings(config)) {
    const variable = source.startsWith('$') ? source.slice(1) : undefined
    if (variable === undefined || variable in { EMON_DATA, EMON_CONFIG, EMON_RUN }) continue
    if (inFile.get(setting) === value) delete environment[variable]
    else console.log(`${variable} is not in ${config.file}: it is forgotten when monit ends`)
  }
}

async function superviseWithMonit(): Promise<void> {
  const monit = new Monit(monitrcFile(config), config)
  const changed = writeMonitrc(monit)
  if (!monit.answers()) {
    // What a boot or kill -9 left behind; the start of a process that runs writes its pid again.
    for (const name of PROCESSES) disk.remove(`${config.run}/${name}.pid`)
    await monit.start(environment)
  } else if (changed) monit.command('reload')
  linkSystemMonitrc(monit)
  const missing = await waitUntilReady(config, PROCESSES, { clock, timeoutMs: 0 })
  if (missing.length > 0) monit.command('start', 'all')
  await waitForAll()
  console.log(`ready. Points of its own, as they come in:\n  ${curlLine(config)}`)
  console.log(`See: ${monit.commandLine('summary')}. Stop: ./scripts/down`)
}

/** Whether it is a new one. */
function writeMonitrc(monit: Monit): boolean {
  const text = installedMonitrc(config, { disk, clock, uid })
  if (disk.stat(monit.file) && fromUtf8(disk.readFile(monit.file)) === text) return false
  const aside = `${monit.file}.checked`
  disk.replaceFile(aside, toUtf8(text), 0o600)
  const complaint = monit.check(aside)
  if (complaint !== undefined) {
    console.error(`monit refuses ${aside}:\n${complaint}`)
    process.exit(EXIT_CONFIG)
  }
  disk.rename(aside, monit.file)
  console.log(`wrote ${monit.file}`)
  return true
}

/** Makes a plain `monit start all` mean this one. */
function linkSystemMonitrc(monit: Monit): void {
  const link = '/etc/monitrc'
  if (user === undefined || existsSync(link)) return
  disk.remove(link)
  symlinkSync(monit.file, link)
}

async function waitForAll(): Promise<void> {
  const onChange = (reasons: readonly string[]): void => {
    if (reasons.length > 0) console.log(`waiting: ${reasons.join('; ')}`)
  }
  const wait = (timeoutMs: number) => ({ clock, timeoutMs, onChange })
  let late = await waitUntilReady(config, PROCESSES, wait(ANSWER_MS_MAX))
  if (late.some((reason) => reason.endsWith(NO_ANSWER))) giveUp(late)
  // What still lacks something from elsewhere runs, and carries on when that is there.
  if (late.some((reason) => /: (starting|recovering)/.test(reason))) {
    late = await waitUntilReady(config, PROCESSES, wait(READY_MS_MAX))
  }
  const noPoint = await waitForPoint(config, wait(POINT_MS_MAX))
  if (noPoint.length > 0) giveUp([...late, ...noPoint])
  if (late.length > 0) console.log(`not everything is ready: ${late.join('; ')}`)
}

function giveUp(reasons: readonly string[]): never {
  console.error(`not ready: ${reasons.join('; ')}`)
  for (const name of PROCESSES.filter((process) => reasons.join().includes(process))) {
    const log = `${config.data}/log/${name}.log`
    console.error(`the end of ${log}:`)
    if (disk.stat(log))
      console.error(fromUtf8(disk.readFile(log)).trim().split('\n').slice(-3).join('\n'))
  }
  process.exit(1)
}
