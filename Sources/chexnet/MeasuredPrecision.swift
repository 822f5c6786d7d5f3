import ArgumentParser
import Engine
import Foundation
import Platform

/// What `--precision` takes where weights are not trained.
enum PrecisionChoice: String, CaseIterable, ExpressibleByArgument {
  case auto, fp32, bf16

  /// `auto` is what `doctor` measured to be faster on this machine, or fp32 where it has not; which it is is said on standard error.
  func resolved(device: String) -> Precision {
    switch self {
    case .fp32: return .fp32
    case .bf16: return .bf16
    case .auto:
      if isCUDA(device) {
        standardError("note: computing in bf16, which the GPU's matrix units take\n")
        return .bf16
      }
      if isGaudi(device) {
        standardError("note: computing in bf16, which the Gaudi's matrix engines take\n")
        return .bf16
      }
      // Where the textbook runs there is fp32 only.
      guard device == "cpu" || (device == "auto" && CPUBackend.isFast) else { return .fp32 }
      guard let measured = MeasuredPrecision.load() else {
        standardError("note: computing in fp32: chexnet doctor has not measured this machine yet\n")
        return .fp32
      }
      standardError(
        "note: computing in \(measured.fastest.rawValue), the faster here (chexnet doctor, \(measured.date))\n")
      return measured.fastest
    }
  }
}

/// How fast inference is on this machine in each precision, as `doctor` found it. Kept in the user's cache folder, and void when the
/// program or the processor is another.
struct MeasuredPrecision: Equatable {
  /// ISO 8601.
  let date: String
  /// Images/s.
  let speeds: [Precision: Double]

  var fastest: Precision { speeds[.bf16, default: 0] > speeds[.fp32, default: 0] ? .bf16 : .fp32 }

  /// `$XDG_CACHE_HOME/chexnet/doctor.json`, or under `~/.cache`.
  static var path: String { userCacheFolder + "/doctor.json" }

  private static let circumstances: [(String, String)] = [
    ("chexnet", toolVersion), ("processor", Processor.name), ("instructions", InstructionSet.best.rawValue),
    ("processors", "\(ThreadPool.availableProcessors)"),
  ]

  /// What was kept of this machine; nil where nothing was, or cannot be read.
  static func load(from path: String = path) -> MeasuredPrecision? {
    guard let bytes = try? FileReader.contents(of: path), let kept = try? JSONValue.parse(bytes),
      circumstances.allSatisfy({ kept[$0.0]?.string == $0.1 }), let date = kept["date"]?.string
    else { return nil }
    let speeds = Precision.allCases.compactMap { precision in
      kept["images_per_second"]?[precision.rawValue]?.double.map { (precision, $0) }
    }
    guard speeds.count == Precision.allCases.count else { return nil }
    return MeasuredPrecision(date: date, speeds: Dictionary(uniqueKeysWithValues: speeds))
  }

  func save(to path: String = path) throws(PlatformError) {
    try createFolder(folder(of: path))
    try AtomicFile.write(json.text(pretty: true) + "\n", to: path, overwriting: true)
  }

  var json: JSONValue {
    .object(
      JSONObject(
        Self.circumstances.map { ($0.0, .string($0.1)) } + [
          ("date", .string(date)),
          (
            "images_per_second",
            .object(JSONObject(Precision.allCases.map { ($0.rawValue, JSONValue(speeds[$0, default: 0])) }))
          ),
        ]))
  }
}
