/**
 * The looks that `template=` names: those of graphite-web's graphTemplates.conf. What a template leaves out
 * is the default's.
 */

export interface Template {
  readonly background: string
  readonly foreground: string
  readonly majorLine: string
  readonly minorLine: string
  readonly lineColors: readonly string[]
}

const DEFAULT: Template = {
  background: 'white',
  foreground: 'black',
  majorLine: 'rose',
  minorLine: 'grey',
  lineColors: 'blue,green,red,purple,brown,yellow,aqua,grey,magenta,pink,gold,rose'.split(','),
}

const DARK: Template = {
  ...DEFAULT,
  background: 'black',
  foreground: 'white',
  majorLine: 'white',
  minorLine: 'grey',
}

const SOLARIZED = '268bd2aa,859900aa,dc322faa,d33682aa,db4b16aa,b58900aa,2aa198aa,6c71c4aa'.split(
  ',',
)

const TEMPLATES: Readonly<Record<string, Template>> = {
  default: DEFAULT,
  plain: { ...DEFAULT, minorLine: 'grey', majorLine: 'darkgrey' },
  classic: DARK,
  noc: {
    ...DARK,
    lineColors: 'blue,green,red,yellow,purple,brown,aqua,grey,magenta,pink,gold,rose'.split(','),
  },
  // graphite-web's has black letters on black: it is for pictures without any.
  summary: {
    ...DEFAULT,
    background: 'black',
    foreground: 'white',
    lineColors: ['#6666ff', '#66ff66', '#ff6666'],
  },
  alphas: {
    ...DEFAULT,
    majorLine: 'grey',
    minorLine: 'rose',
    lineColors: ['00ff00aa', 'ff000077', '00337799'],
  },
  'solarized-light': {
    background: '#fdf6e3',
    foreground: '#657b83',
    majorLine: '#073642',
    minorLine: '#586e75',
    lineColors: SOLARIZED,
  },
  'solarized-dark': {
    background: '#002b36',
    foreground: '#839496',
    majorLine: '#fdf6e3',
    minorLine: '#eee8d5',
    lineColors: SOLARIZED,
  },
  'solarized-white': { ...DEFAULT, foreground: '#657b83', lineColors: SOLARIZED },
  grafana: {
    ...DEFAULT,
    lineColors:
      '#7eb26d,#eab839,#6ed0e0,#ef843c,#e24d42,#1f78c1,#ba43a9,#705da0,#508642,#cca300,#447ebc'.split(
        ',',
      ),
  },
}

export function findTemplate(name: string | undefined): Template {
  return TEMPLATES[name ?? 'default'] ?? DEFAULT
}
