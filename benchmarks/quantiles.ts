/** The middle of some figures; the mean of the two middle ones when their number is even. */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  const high = sorted[Math.floor(middle)] ?? Number.NaN
  return (low + high) / 2
}

/** `median (smallest to largest)`, as text. */
export function spread(figures: readonly number[]): string {
  const [low, high] = [Math.min(...figures), Math.max(...figures)]
  return `${short(median(figures))} (${short(low)} to ${short(high)})`
}

function short(figure: number): string {
  return figure >= 100 ? figure.toFixed(0) : figure.toFixed(2)
}
