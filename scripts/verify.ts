/**
 * Everything that has to hold before a change lands, in one go: `bun run verify`.
 * Formatting, types, lint, unused code, then the tests; the first failure stops. Arguments go to bun test.
 */
const steps: readonly (readonly string[])[] = [
  ['bun', 'fmt', '--check'],
  ['bun', 'check'],
  [
    'node_modules/.bin/oxlint',
    '-c',
    'scripts/oxlint.json',
    '--type-aware',
    '--quiet',
    'src',
    'scripts',
    'test',
  ],
  ['node_modules/.bin/knip', '--no-progress'],
  ['bun', 'test', '--parallel=2', ...Bun.argv.slice(2)],
]

for (const step of steps) {
  const command = step[0] === 'bun' ? [process.execPath, ...step.slice(1)] : [...step]
  console.log(`› ${step.join(' ')}`)
  const { exitCode } = Bun.spawnSync(command, {
    stdio: ['ignore', 'inherit', 'inherit'],
    cwd: `${import.meta.dir}/..`,
  })
  if (exitCode !== 0) process.exit(exitCode)
}
