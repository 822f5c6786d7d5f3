import Foundation

/// What a launcher passes on of its ranks, without its own words about how they ended, which it puts between rulers; the program says that in one line.
///
///     --------------------------------------------------------------------------
///     mpirun noticed that process rank 1 with PID 0 on node node07 exited on signal 9 (Killed).
///     --------------------------------------------------------------------------
///
/// and of MPICH's:
///
///     ===================================================================================
///     =   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
///     =   PID 812 RUNNING AT node07
///     =   EXIT CODE: 9
///     ===================================================================================
///     YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)
struct LauncherText {
  /// A process that a signal has ended, by its rank or its number.
  struct Lost: Equatable {
    var rank: Int?
    var process: Int32?
    var signal: Int32
  }

  /// What it said that was kept back.
  private(set) var withheld = ""
  /// Of a line that is not whole, or of a block.
  private var held: [UInt8] = []
  private var block: [UInt8] = []
  private var isInBlock = false

  private static let words = [
    "exited on signal", "non-zero status", "non-zero exit code", "BAD TERMINATION",
  ]
  private static let lines = [
    "YOUR APPLICATION TERMINATED WITH", "This typically refers to a problem with your application",
    "Please see the FAQ page for debugging",
  ]
  /// A block that is longer is nobody's word about an end.
  private static let longest = 1 << 13

  /// What is to be printed of `bytes` and those before.
  mutating func take(_ bytes: [UInt8]) -> [UInt8] {
    held += bytes
    var printed: [UInt8] = []
    while let end = held.firstIndex(of: UInt8(ascii: "\n")) {
      let line = Array(held[...end])
      held.removeSubrange(...end)
      printed += take(line: line)
    }
    // Live lines have no end: only what could be a launcher's waits for its own.
    let mayBeTheirs = held.first.map { "-=YTP".utf8.contains($0) } ?? false
    if !isInBlock, !mayBeTheirs {
      printed += held
      held = []
    }
    return printed
  }

  private mutating func take(line: [UInt8]) -> [UInt8] {
    let isRuler = Self.isRuler(line)
    if isInBlock {
      block += line
      guard isRuler || block.count > Self.longest else { return [] }
      isInBlock = false
      defer { block = [] }
      // Open MPI 5 breaks its lines.
      let text = String(decoding: block, as: UTF8.self)
      let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
      if !Self.words.contains(where: line.contains) { return block }
      withheld += text
      return []
    }
    if isRuler {
      (isInBlock, block) = (true, line)
      return []
    }
    let text = String(decoding: line, as: UTF8.self)
    guard Self.lines.contains(where: text.hasPrefix) else { return line }
    withheld += text
    return []
  }

  /// What is left when no more comes.
  mutating func end() -> [UInt8] {
    defer { (block, held) = ([], []) }
    return block + held
  }

  private static func isRuler(_ line: [UInt8]) -> Bool {
    guard line.count > 60, let first = line.first, "-=".utf8.contains(first) else { return false }
    return line.dropLast().allSatisfy { $0 == first }
  }

  /// The first that a signal has ended.
  var lost: Lost? {
    func number(behind mark: String, in text: Substring) -> Int32? {
      guard let found = text.range(of: mark) else { return nil }
      return Int32(text[found.upperBound...].prefix { $0.isNumber })
    }
    guard let mark = withheld.range(of: "PID "),
      let signal = number(behind: "signal ", in: withheld[mark.upperBound...])
    else { return nil }
    // Open MPI 4 can say PID 0.
    return Lost(
      rank: number(behind: "process rank ", in: withheld[..<mark.lowerBound]).map { Int($0) },
      process: number(behind: "PID ", in: withheld[...]).flatMap { $0 > 0 ? $0 : nil }, signal: signal)
  }
}
