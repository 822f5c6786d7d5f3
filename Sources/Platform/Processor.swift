import Foundation

/// The machine's processors.
public enum Processor {
  /// As the system names them: `AMD EPYC`; `unknown` where it does not say.
  public static let name: String = {
    // Linux: x86 has `model name`, arm64 numbers only.
    guard let data = FileManager.default.contents(atPath: "/proc/cpuinfo") else { return "unknown" }
    let line = String(decoding: data, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown"
  }()
}
