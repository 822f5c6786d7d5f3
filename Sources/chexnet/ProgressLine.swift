import Foundation
import Platform

/// Progress on standard error: one live line on a terminal, sparse lines elsewhere.
final class ProgressLine {
  enum Style: String, CaseIterable {
    /// `bar` on a terminal, else `lines`.
    case auto
    case bar
    case lines
    case none
  }

  private let style: Style
  private let clock = ContinuousClock()
  /// When the work that is being shown began: progress that falls back is new work.
  private var start: ContinuousClock.Instant
  private var lastDone = 0
  private var lastDrawn: ContinuousClock.Instant?
  private var isLive = false

  /// Between two drawings of the live line, and between two lines in a log.
  private var interval: Duration { style == .bar ? .milliseconds(100) : .seconds(30) }

  init(_ style: Style = .auto) {
    self.style = style == .auto ? (Self.givenWidth != nil || isatty(STDERR_FILENO) == 1 ? .bar : .lines) : style
    start = clock.now
  }

  /// Shows that `done` of `total` are done. The live line is `[=====     ] 12/60  what`, with a shorter bar or none where the terminal
  /// is narrow; never wider than the terminal.
  func show(_ done: Int, of total: Int, _ what: @autoclosure () -> String) {
    guard style != .none, total > 0 else { return }
    let now = clock.now
    if done < lastDone { start = now }
    lastDone = done
    if let lastDrawn, now - lastDrawn < interval { return }
    if style == .lines && lastDrawn == nil {
      // A log begins with silence: short work needs no line.
      lastDrawn = now
      return
    }
    lastDrawn = now
    let seconds = (now - start) / .seconds(1)
    // The first item of new work says nothing about its pace.
    let rest = seconds > 0.5 ? "  \(Self.time(seconds * Double(total - done) / Double(done))) left" : ""
    let count = "\(done)/\(total)  \(what())\(rest)"
    guard style == .bar else { return standardError(count + "\n") }
    let width = Self.terminalWidth
    let bar = min(20, width - 4 - count.count)
    let filled = max(bar, 0) * done / total
    let line =
      bar >= 5
      ? "[" + String(repeating: "=", count: filled) + String(repeating: " ", count: bar - filled) + "] " + count : count
    standardError("\r\u{1B}[K" + String(line.prefix(max(width - 1, 10))))
    isLive = true
  }

  /// Prints a whole line, above the live one.
  func line(_ text: String) {
    guard style != .none else { return }
    clear()
    standardError(text + "\n")
  }

  /// Removes the live line.
  func clear() {
    if isLive { standardError("\r\u{1B}[K") }
    isLive = false
  }

  /// `1:02:03`, `4:05`, `12 s`.
  static func time(_ seconds: Double) -> String {
    let whole = Int(min(seconds, 359_999).rounded())
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    if hours > 0 { return "\(hours):\(two(minutes)):\(two(rest))" }
    return minutes > 0 ? "\(minutes):\(two(rest))" : "\(rest) s"
  }

  /// Of the terminal where what this process prints will appear, by who has started it.
  static let widthVariable = "CHEXNET_TERMINAL_WIDTH"
  private static let givenWidth = ProcessInfo.processInfo.environment[widthVariable].flatMap { Int($0) }

  static var terminalWidth: Int {
    if let givenWidth { return givenWidth }
    var size = winsize()
    return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
  }
}
