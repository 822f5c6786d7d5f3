import ChestXray
import Engine
import Platform

/// The processes of a run, as far as they must agree before they go on together. Process 0 writes what the run leaves.
struct Ranks {
  let collective: any Collective

  var isMain: Bool { collective.rank == 0 }
  var areSeveral: Bool { collective.size > 1 }

  /// `Collective.together`: what fails in one process fails in all.
  func together<Value>(_ body: () throws(TrainingError) -> Value) throws(TrainingError) -> Value {
    try collective.together(wrapped: { .cause($0) }, body)
  }

  /// The first process's reason to stop that has one: all stop at the same step.
  func reasonToStop(_ own: Interruption.Reason?) throws(TrainingError) -> Interruption.Reason? {
    if !areSeveral { return own }
    var codes = [Double](repeating: 0, count: collective.size)
    codes[collective.rank] = own?.code ?? 0
    return try sum(codes).first { $0 != 0 }.flatMap { Interruption.Reason(code: $0) }
  }

  func sum(_ values: [Double]) throws(TrainingError) -> [Double] {
    do {
      return try collective.sum(values)
    } catch {
      throw .cause(error)
    }
  }

  /// The images that any process has skipped: each knows its own.
  func all(_ skipped: [SkippedImage]) throws(TrainingError) -> [(sample: Int, diagnosis: Diagnosis)] {
    if !areSeveral { return skipped.map { ($0.sample, $0.error.diagnosis) } }
    let own = skipped.map { image -> JSONValue in
      let diagnosis = image.error.diagnosis
      return [
        "sample": JSONValue(image.sample), "id": .string(diagnosis.id), "message": .string(diagnosis.message),
        "file": JSONValue(diagnosis.file),
      ]
    }
    let texts: [[UInt8]]
    do {
      texts = try collective.gather(own.isEmpty ? [] : Array(JSONValue.array(own).text().utf8))
    } catch {
      throw .cause(error)
    }
    return texts.flatMap { text -> [(sample: Int, diagnosis: Diagnosis)] in
      guard !text.isEmpty, case .array(let images) = try? JSONValue.parse(text) else { return [] }
      return images.compactMap { image in
        guard let sample = image["sample"]?.integer, let id = image["id"]?.string,
          let message = image["message"]?.string
        else { return nil }
        return (sample, Diagnosis(id: id, exit: .badData, message: message, file: image["file"]?.string))
      }
    }
  }

  /// Throws `ranks(.disagreement)` where a process's `text` is not process 0's.
  func agree(on text: String) throws(TrainingError) {
    try together { () throws(TrainingError) in
      do throws(BackendError) {
        let others = try collective.broadcast(Array(text.utf8))
        if others != Array(text.utf8) {
          throw .ranks(
            .disagreement(rank: collective.rank, host: collective.hosts[collective.rank]))
        }
      } catch {
        throw .cause(error)
      }
    }
  }
}

extension Interruption.Reason {
  /// A number other than 0.
  fileprivate var code: Double {
    switch self {
    case .signal(let number): Double(number)
    case .time: 1001
    case .jobEnd: 1002
    }
  }

  fileprivate init?(code: Double) {
    switch code {
    case 0: return nil
    case 1001: self = .time
    case 1002: self = .jobEnd
    default: self = .signal(Int32(code))
    }
  }
}
