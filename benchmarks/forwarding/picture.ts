// The ratios of a run as an SVG picture: a bar for each contender, a whisker from the smallest to the
// largest round, a line where the contract has its bound.

import { contract } from '../contract.ts'
import { median } from '../quantiles.ts'
import { figureOf, titleOf } from './report.ts'
import { ratiosOf, type Results } from './results.ts'

/** One bar. */
export interface Bar {
  readonly label: string
  readonly ratios: readonly number[]
  /** Where the contract has its bound. */
  readonly bound: number | undefined
}

/** Bars under a heading. */
export interface Group {
  readonly heading: string
  readonly bars: readonly Bar[]
}

const [labelWidth, plotWidth, rowHeight, headingHeight, margin] = [190, 520, 20, 34, 16]
/** Ratios beyond this are cut, and say so. */
const most = 3

/** What the picture shows: the director over each rival, figure by figure. */
export function groupsOf(results: Results): Group[] {
  return results.figures.flatMap((name) => {
    const own = results.rounds(name, 'director')
    const others = results.rivals(name).filter((rival) => rival !== 'director')
    if (own.length === 0 || others.length === 0) return []
    const bars = others.map((rival) => {
      const promised = contract.find(
        ({ figure, over }) =>
          figure === name && over !== undefined && 'rival' in over && over.rival === rival,
      )
      const bound = promised?.atLeast ?? promised?.atMost
      const ratios = ratiosOf(own, results.rounds(name, rival))
      return { label: titleOf(rival), ratios, bound }
    })
    const { of, title, better } = figureOf(name)
    return [{ heading: `${of}: ${title} (${better} is better)`, bars }]
  })
}

function x(ratio: number): number {
  return Math.round(labelWidth + (Math.min(ratio, most) / most) * plotWidth)
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}

function row({ label, ratios, bound }: Bar, top: number): string {
  const middle = median(ratios)
  const [low, high] = [x(Math.min(...ratios)), x(Math.max(...ratios))]
  const y = top + rowHeight / 2
  const parts = [
    `<text x="${labelWidth - 8}" y="${y + 4}" text-anchor="end">${escape(label)}</text>`,
    `<rect class="bar" x="${labelWidth}" y="${top + 4}" width="${x(middle) - labelWidth}" height="${rowHeight - 8}"/>`,
    `<path class="spread" d="M${low} ${y}H${high}M${low} ${y - 4}v8M${high} ${y - 4}v8"/>`,
    `<text x="${labelWidth + plotWidth + 8}" y="${y + 4}">${middle.toFixed(2)}${middle > most ? ' (cut)' : ''}</text>`,
  ]
  if (bound !== undefined) {
    parts.push(
      `<path class="bound" d="M${x(bound)} ${top}v${rowHeight}"><title>promised: ${bound}</title></path>`,
    )
  }
  return parts.join('\n')
}

/** The picture. */
export function picture(groups: readonly Group[]): string {
  let top = margin
  const parts = groups.flatMap(({ heading, bars }) => {
    const head = `<text class="heading" x="${margin}" y="${top + headingHeight - 12}">${escape(heading)}</text>`
    const rows = bars.map((bar, index) => row(bar, top + headingHeight + index * rowHeight))
    top += headingHeight + bars.length * rowHeight
    return [head, ...rows]
  })
  const [width, height] = [labelWidth + plotWidth + 80, top + margin]
  const style =
    'text{font:12px sans-serif;fill:#222}.heading{font-weight:bold}.bar{fill:#4e79a7}' +
    '.spread{stroke:#222;fill:none}.bound{stroke:#d62728;stroke-width:2}.one{stroke:#999;stroke-dasharray:3 3}'
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">
<title>The director over each contender: median, smallest and largest round; red: what is promised</title>
<style>${style}</style>
<rect width="${width}" height="${height}" fill="#fff"/>
<path class="one" d="M${x(1)} ${margin}V${top}"/>
${parts.join('\n')}
</svg>
`
}
