import Foundation

/// What a process of several does, for the one that has started them all on this machine and has to say which of them was lost, and where.
///
/// Each keeps a file of its own, named by its rank, in the folder that `variable` names: its process id and its place, a line each.
public struct RankPlace: Equatable, Sendable {
  public static let variable = "CHEXNET_RANK_PLACES"

  public let process: Int32
  /// The last that it told: `epoch 2, step 1204`.
  public let place: String

  /// Nil where the rank has not come so far, or left no whole file.
  public init?(rank: Int, in folder: String) {
    guard let bytes = FileManager.default.contents(atPath: "\(folder)/\(rank)") else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    guard lines.count >= 2, let process = Int32(lines[0]) else { return nil }
    self.process = process
    place = lines[1].trimmingCharacters(in: .whitespaces)
  }

  /// The file of this process, whose place changes with every step.
  final class File {
    private let descriptor: Int32
    /// Longer than any place: what stands behind a shorter one are spaces.
    private static let length = 100

    /// Nil where nobody asks.
    init?(rank: Int) {
      guard let folder = ProcessInfo.processInfo.environment[RankPlace.variable] else { return nil }
      descriptor = open("\(folder)/\(rank)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      if descriptor < 0 { return nil }
    }

    deinit { close(descriptor) }

    /// Only tells: that it could not be written is no error.
    func write(_ place: String) {
      let text = "\(getpid())\n" + place.prefix(Self.length)
      let line = Array((text + String(repeating: " ", count: max(0, Self.length - text.count)) + "\n").utf8)
      _ = pwrite(descriptor, line, line.count, 0)
    }
  }
}
