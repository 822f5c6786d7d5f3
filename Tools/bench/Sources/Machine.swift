import Engine
import Foundation
import Platform

/// What a number depends on beside the program.
struct Machine {
  let date = Date().ISO8601Format()
  let processor = Processor.name
  let processors = ThreadPool.availableProcessors
  /// Processes that were running or waiting to, in the last minute, ours included.
  let load = Machine.loadAverage
  let openBLAS = openBLASCoreName() ?? "none"

  var json: JSONValue {
    [
      "date": .string(date), "processor": .string(processor), "processors": JSONValue(processors),
      "load": JSONValue(load), "openblas": .string(openBLAS), "chexnet": .string(toolVersion),
    ]
  }

  /// The most memory that this process has had at once, in MB (10⁶ bytes); nil where the system does not say.
  ///
  /// Linux's `VmHWM`, not `getrusage`'s `ru_maxrss`: the latter is inherited from the process that started this one.
  static var peakMegabytes: Double? {
    guard let line = lines(of: "/proc/self/status").first(where: { $0.hasPrefix("VmHWM:") }),
      let kibibytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Double($0) })
    else { return nil }
    return kibibytes * 1024 / 1e6
  }

  /// OpenBLAS obeys these, to half of its speed where they name an older processor: a comparison must not.
  static func warnOfOpenBLASVariables() {
    let variables = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]
    for name in variables where ProcessInfo.processInfo.environment[name]?.isEmpty == false {
      standardError("warning: \(name) is set: the figures of --device reference are not this machine's best\n")
    }
  }

  private static var loadAverage: Double {
    var load = 0.0
    return getloadavg(&load, 1) == 1 ? load : .nan
  }

  /// The lines of a file of the system; none where it is not there.
  private static func lines(of path: String) -> [Substring] {
    guard let data = FileManager.default.contents(atPath: path) else { return [] }
    return String(decoding: data, as: UTF8.self).split(separator: "\n")
  }
}
