/// The curves of one finding, a line for each column: from no image taken for positive to all of them.
struct CurvePlots {
  let name: String
  /// Of each column; nil where it has no positive or no negative, or no such finding.
  let columns: [KnownScores?]

  private static let (side, margin) = (200.0, 34.0)

  /// Sensitivity against 1 − specificity; ties are straight lines.
  var receiverOperating: Drawing {
    var drawing = square("ROC of \(name)", x: "1 − specificity", y: "sensitivity")
    drawing.line(Self.place(0, 0), Self.place(1, 1), .faint)
    for (index, ranked) in ranked {
      let points = ranked.cumulative.map {
        (Double($0.falsePositives) / Double(ranked.negatives), Double($0.truePositives) / Double(ranked.positives))
      }
      drawing.path(Self.thinned([(0, 0)] + points), .column(index))
    }
    return drawing
  }

  /// Precision against recall, in steps at the thresholds that bring a positive: the area below is the average precision. The faint line is the
  /// share of positives.
  var precisionRecall: Drawing {
    var drawing = square("precision and recall of \(name)", x: "recall", y: "precision")
    if let known = columns.compactMap(\.self).first {
      let share = Double(known.positives) / Double(max(known.isPositive.count, 1))
      drawing.line(Self.place(0, share), Self.place(1, share), .faint)
    }
    for (index, ranked) in ranked {
      var (points, recall): ([(Double, Double)], Double) = ([], 0)
      for step in ranked.cumulative {
        let next = Double(step.truePositives) / Double(ranked.positives)
        if next == recall { continue }
        let precision = Double(step.truePositives) / Double(step.truePositives + step.falsePositives)
        points += [(recall, precision), (next, precision)]
        recall = next
      }
      drawing.path(Self.thinned(points), .column(index))
    }
    return drawing
  }

  /// The share of positives among images of about the same probability, in fifteenths; a dot's area grows with the count.
  var reliability: Drawing {
    var drawing = square("calibration of \(name)", x: "probability", y: "share of positives")
    drawing.line(Self.place(0, 0), Self.place(1, 1), .faint)
    for (index, known) in columns.enumerated() {
      guard let known, let calibration = Calibration(probabilities: known.scores, isPositive: known.isPositive) else {
        continue
      }
      drawing.path(calibration.bins.map { Self.place($0.probability, $0.share) }, .column(index), width: 1)
      let largest = Double(calibration.bins.map(\.count).max() ?? 1)
      for bin in calibration.bins {
        let (x, y) = Self.place(bin.probability, bin.share)
        drawing.dot(x, y, radius: 1.5 + 4 * (Double(bin.count) / largest).squareRoot(), .column(index))
      }
    }
    return drawing
  }

  private var ranked: [(Int, RankedScores)] {
    columns.enumerated().compactMap { index, known in (known?.ranked).map { (index, $0) } }
  }

  private func square(_ title: String, x: String, y: String) -> Drawing {
    var drawing = Drawing(width: Self.side + Self.margin + 10, height: Self.side + Self.margin + 10, title: title)
    let ((left, bottom), (right, top)) = (Self.place(0, 0), Self.place(1, 1))
    drawing.path([(left, top), (left, bottom), (right, bottom)], .plain, width: 1)
    for tick in [0.0, 0.5, 1] {
      drawing.text(decimals(tick, 1), Self.place(tick, 0).0, bottom + 13, .middle)
      drawing.text(decimals(tick, 1), left - 4, Self.place(0, tick).1 + 4, .end)
    }
    drawing.text(x, (left + right) / 2, bottom + 27, .middle)
    drawing.text(y, 9, (top + bottom) / 2, .middle, turned: true)
    return drawing
  }

  private static func place(_ x: Double, _ y: Double) -> (Double, Double) { (margin + side * x, 8 + side * (1 - y)) }

  /// In the picture, without the points that lie within a pixel of the one before: what nobody sees. The last one stays.
  private static func thinned(_ points: [(Double, Double)]) -> [(Double, Double)] {
    var kept: [(Double, Double)] = []
    for (index, point) in points.enumerated() {
      let next = place(point.0, point.1)
      if let last = kept.last, index < points.count - 1, abs(next.0 - last.0) + abs(next.1 - last.1) < 1 { continue }
      kept.append(next)
    }
    return kept
  }
}
