import Checkpoints
import ChestXray
import Foundation
import Platform

/// The images that a checkpoint was most wrong about.
struct WorstImages {
  struct Case {
    /// An index of the predictions' findings.
    let finding: Int
    /// An index of the predictions' rows.
    let row: Int
    /// A negative of high probability, or a positive of low.
    let isFalsePositive: Bool
  }

  /// Of each finding and kind.
  static let countOfEach = 2

  /// For each labelled finding the negatives of the highest probability and the positives of the lowest, the earlier image first where
  /// they are equal.
  static func cases(_ predictions: Predictions) -> [Case] {
    let patients = predictions.patientNumbers
    return predictions.labelledFindings.flatMap { finding -> [Case] in
      let known = KnownScores(predictions, finding: finding, patients: patients)
      func worst(_ isFalsePositive: Bool) -> [Case] {
        known.scores.indices.filter { known.isPositive[$0] != isFalsePositive }
          .sorted {
            known.scores[$0] == known.scores[$1]
              ? $0 < $1 : (known.scores[$0] > known.scores[$1]) == isFalsePositive
          }
          .prefix(countOfEach).map { Case(finding: finding, row: known.rows[$0], isFalsePositive: isFalsePositive) }
      }
      return worst(true) + worst(false)
    }
  }

  /// A radiograph and the heatmap over it, small, as JPEG in base 64; by the place of each case.
  typealias Pictures = [Int: (radiograph: String, overlay: String)]

  /// The short side of the pictures, in pixels.
  private static let pictureSide = 176

  /// Lets `checkpoint` look at the images of `cases` again, and draws where it saw each case's finding.
  static func draw(
    _ cases: [Case], of predictions: Predictions, by checkpoint: Checkpoint, _ evaluator: Evaluator, table: LabelTable
  ) throws(EvaluationError) -> Pictures {
    let rows = Array(Set(cases.map(\.row))).sorted()
    let part = LabelTable(findings: table.findings, samples: rows.map { table.samples[$0] })
    var pictures: Pictures = [:]
    try evaluator.look(at: part, by: checkpoint) { (place, path, prediction, shape) throws(EvaluationError) in
      let radiograph = try read(path)
      let plain = try base64(radiograph, path)
      for (index, one) in cases.enumerated() where one.row == rows[place] {
        guard let label = checkpoint.metadata.classes.firstIndex(of: predictions.findings[one.finding]) else {
          continue
        }
        let maps = try prediction.maps(of: label, checkpoint, shape, image: path)
        let field = ActivationField(
          maps, windows: prediction.crops.map(\.view.window), width: radiograph.width, height: radiograph.height)
        let heat = HeatmapImage(field, bias: maps[0].bias, scale: .map, depth: 8)
        pictures[index] = (plain, try base64(HeatmapOverlay.draw(heat, over: radiograph), path))
      }
    }
    return pictures
  }

  private static func read(_ path: String) throws(EvaluationError) -> Radiograph {
    do {
      return try Radiograph.read(path)
    } catch {
      throw .cause(error)
    }
  }

  private static func base64(_ image: Radiograph, _ path: String) throws(EvaluationError) -> String {
    do {
      return Data(try image.scaledDown(shortSide: pictureSide).jpeg(quality: 80, path: path)).base64EncodedString()
    } catch {
      throw .cause(error)
    }
  }
}
