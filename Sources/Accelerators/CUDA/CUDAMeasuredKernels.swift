import Engine
import Foundation
import Platform

/// Which kernels were measured to be the fastest on a device, and where that is kept: in the user's cache folder, under a name that is of the device and
/// of the kernels, so that what another card or another version was measured with does not count.
struct CUDAMeasuredKernels: Equatable, Sendable {
  typealias Question = CUDAKernelChoice.Question

  /// What was measured of one question: all that can do it, and how long each takes.
  struct Answer: Equatable, Sendable {
    struct Timing: Equatable, Sendable {
      let name: CUDAKernelChoice.Candidate.Name
      let microseconds: Double
    }
    let question: Question
    /// In the order in which `CUDAKernelChoice` has them.
    var timings: [Timing]

    var fastest: CUDAKernelChoice.Candidate.Name? { timings.min { $0.microseconds < $1.microseconds }?.name }
  }

  /// ISO 8601; empty where nothing was measured.
  var date = ""
  var answers: [Answer] = []

  /// Other sizes of batch than those measured take what the nearest was measured with, as long as it has not more than twice as many pixels, or half.
  func fastest(_ question: Question) -> CUDAKernelChoice.Candidate.Name? {
    func distance(_ answer: Answer) -> Double {
      abs(log2(Double(answer.question.pixels) / Double(question.pixels)))
    }
    let nearest = answers.filter {
      let other = $0.question
      return other.operation == question.operation && other.normalises == question.normalises
        && other.width == question.width
        && other.inputLanes == question.inputLanes && other.outputLanes == question.outputLanes
    }.min { distance($0) < distance($1) }
    return nearest.flatMap { distance($0) <= 1 ? $0.fastest : nil }
  }

  // MARK: The file

  struct Circumstances: Sendable {
    let device: String
    let capability: (major: Int, minor: Int)
    let multiprocessors: Int
  }

  /// `cuda-<hash>.json`.
  static func path(_ circumstances: Circumstances) -> String {
    let capability = circumstances.capability
    let text = [
      circumstances.device, "\(capability.major).\(capability.minor)", "\(circumstances.multiprocessors)",
      CUDADevice.imageDigest,
    ].joined(separator: "\n")
    return userCacheFolder + "/cuda-\(SHA256.hex(of: Array(text.utf8)).prefix(16)).json"
  }

  /// What was kept; nothing where there is none, or where it cannot be read: it can be measured again.
  static func load(from path: String) -> CUDAMeasuredKernels {
    guard let bytes = try? FileReader.contents(of: path), let kept = try? JSONValue.parse(bytes),
      let date = kept["date"]?.string, let list = kept["answers"]?.array
    else { return CUDAMeasuredKernels() }
    let answers = list.compactMap(Answer.init)
    return answers.count == list.count ? CUDAMeasuredKernels(date: date, answers: answers) : CUDAMeasuredKernels()
  }

  /// Saves it for `device`; the failure where it cannot, as in a container whose home is read-only.
  func keep(for device: CUDADevice) -> (path: String, failure: String?) {
    let path = Self.path(device.kept)
    do {
      try save(to: path)
      return (path, nil)
    } catch {
      return (path, error.description)
    }
  }

  func save(to path: String) throws(PlatformError) {
    try createFolder(folder(of: path))
    let json: JSONValue = ["date": .string(date), "answers": .array(answers.map(\.json))]
    try AtomicFile.write(json.text(pretty: true) + "\n", to: path, overwriting: true)
  }
}

extension CUDAMeasuredKernels.Answer {
  fileprivate init?(_ json: JSONValue) {
    guard let operation = json["operation"]?.string.flatMap(CUDAKernelChoice.Question.Operation.init),
      let inputs = json["input_lanes"]?.integer, let outputs = json["output_lanes"]?.integer,
      let width = json["width"]?.integer, let pixels = json["pixels"]?.integer, pixels > 0,
      let normalises = json["normalises"]?.bool, let list = json["timings"]?.array
    else { return nil }
    question = .init(
      operation: operation, inputLanes: inputs, outputLanes: outputs, width: width, pixels: pixels,
      normalises: normalises)
    timings = []
    for timing in list {
      guard let names = timing["kernels"]?.array, let share = timing["share"]?.integer,
        let microseconds = timing["microseconds"]?.double
      else { return nil }
      let kernels = names.compactMap(\.string)
      guard kernels.count == names.count else { return nil }
      timings.append(Timing(name: .init(kernels: kernels, share: share), microseconds: microseconds))
    }
  }

  fileprivate var json: JSONValue {
    [
      "operation": .string(question.operation.rawValue), "input_lanes": JSONValue(question.inputLanes),
      "output_lanes": JSONValue(question.outputLanes), "width": JSONValue(question.width),
      "pixels": JSONValue(question.pixels), "normalises": JSONValue(question.normalises),
      "timings": .array(
        timings.map {
          [
            "kernels": JSONValue($0.name.kernels), "share": JSONValue($0.name.share),
            "microseconds": JSONValue($0.microseconds),
          ]
        }),
    ]
  }
}
