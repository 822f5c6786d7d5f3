import Foundation
import Platform

/// A row that has been measured.
struct RowResult {
  let name: String
  let unit: String
  let subject: String
  let median: Double
  let minimum: Double
  let maximum: Double
  /// Of the whole process, in MB (10⁶ bytes); nil where other rows ran in it.
  let peakMegabytes: Double?

  /// For the document of `--json`.
  var json: JSONValue {
    [
      "row": .string(name), "unit": .string(unit), "median": JSONValue(median), "min": JSONValue(minimum),
      "max": JSONValue(maximum), "peak_mb": JSONValue(peakMegabytes), "subject": .string(subject),
    ]
  }

  /// Reads what `json` says; nil where it is not a row.
  init?(_ json: JSONValue) {
    guard let name = json["row"]?.string, let unit = json["unit"]?.string, let subject = json["subject"]?.string,
      let median = json["median"]?.double, let minimum = json["min"]?.double, let maximum = json["max"]?.double
    else { return nil }
    self.name = name
    self.unit = unit
    self.subject = subject
    self.median = median
    self.minimum = minimum
    self.maximum = maximum
    peakMegabytes = json["peak_mb"]?.double
  }

  init(_ name: RowName, unit: String, subject: String, _ measurement: Measurement, peakMegabytes: Double?) {
    self.name = name.description
    self.unit = unit
    self.subject = subject
    median = measurement.median
    minimum = measurement.minimum
    maximum = measurement.maximum
    self.peakMegabytes = peakMegabytes
  }
}

extension Settings {
  /// Prepares and measures a row in this process. `isAlone`: no other row runs in it.
  func measure(_ name: RowName, isAlone: Bool) throws -> RowResult {
    let (subject, unit, measurement): (String, String, Measurement)
    switch name {
    case .scaling(let row):
      var alone = self
      alone.threads = 1
      let (many, one) = (try prepare(row), try alone.prepare(row))
      measurement = try Measurement(of: many, over: one, warmUp: warmUp, rounds: rounds, seconds: seconds)
      (subject, unit) = (many.subject, "×")
    case .epoch(let epoch):
      let (inMemory, loaded) = try self.epoch(epoch)
      measurement = try Measurement(of: inMemory, over: loaded, warmUp: warmUp, rounds: rounds, seconds: seconds)
      (subject, unit) = (loaded.subject, "×")
    case .heatmaps:
      let (prediction, drawing) = try heatmaps()
      measurement = try Measurement(of: prediction, over: drawing, warmUp: warmUp, rounds: rounds, seconds: seconds)
      (subject, unit) = (drawing.subject, "×")
    case .ranks(let batch):
      let (threads, ranks) = try ranks(batch: batch)
      measurement = try Measurement(of: ranks, over: threads, warmUp: warmUp, rounds: rounds, seconds: seconds)
      (subject, unit) = (ranks.subject, "×")
    case .evaluation(let count):
      let (evaluated, parts) = try evaluation(checkpoints: count)
      measurement = try Measurement(of: parts, over: evaluated, warmUp: warmUp, rounds: rounds, seconds: seconds)
      (subject, unit) = (evaluated.subject, "×")
    default:
      let work = try prepare(name)
      measurement = try Measurement(work, warmUp: warmUp, rounds: rounds, seconds: seconds)
      (subject, unit) = (work.subject, work.unit.text)
    }
    return RowResult(
      name, unit: unit, subject: subject, measurement, peakMegabytes: isAlone ? Machine.peakMegabytes : nil)
  }

  private func prepare(_ name: RowName) throws -> Work {
    switch name {
    case .training(let batch): try training(batch: batch)
    case .tenCrop(let batch): try tenCrop(batch: batch)
    case .ranksSum: try ranksSum()
    case .inference(let batch): try inference(batch: batch)
    case .decoding: try decoding()
    case .preparation: try preparation()
    case .thumbnails: try thumbnails()
    case .randomCrops: try randomCrops()
    case .feeding(let batch): try feeding(batch: batch)
    case .weightImport: try weightImport()
    case .auroc: try areaUnderCurve()
    case .scores(let confidence): try scores(confidence)
    case .peak: peak()
    case .kernel(let kernel): try self.kernel(kernel)
    case .scaling, .epoch, .heatmaps, .evaluation, .ranks: preconditionFailure("two works, not one")
    }
  }
}
