import Platform

/// What can go wrong between a checkpoint, radiographs and a score.
public enum EvaluationError: DiagnosedError {
  /// From a floor below: a checkpoint, a radiograph, a list, a backend, a file.
  case cause(any DiagnosedError)
  /// A class activation map whose mean is not its logit: our arithmetic is wrong.
  case inconsistentMap(image: String, finding: String, discrepancy: Double)
  /// So many outermost cells are all of a map of `cells` × `cells`.
  case maskTooLarge(Int, cells: Int)
  case unknownFinding(String, nearest: String?, known: [String])
  /// A checkpoint and a table that have no finding in common.
  case noCommonFinding(checkpoint: [String], table: [String])
  /// Members of an ensemble that have no labelled finding in common.
  case noCommonClass(members: Int)
  /// The list gives the images, but neither it nor a table gives labels.
  case noLabels(list: String)
  /// Two images whose heatmaps would have the same file names.
  case sameName(String, String)
  /// A table of predictions.
  case scores(path: String, line: Int?, ScoresFault)
  /// Weights, images and labels that together give something that is not a number.
  case notFinite(image: String)

  public enum ScoresFault: Equatable, Sendable {
    case missingColumn(String)
    case notANumber(column: String, text: String)
    case missingImages([String])
    case duplicateImage(String)
  }

  public var diagnosis: Diagnosis {
    switch self {
    case .cause(let error): error.diagnosis
    case .inconsistentMap(let image, let finding, let discrepancy):
      Diagnosis(
        id: "heatmap.inconsistent", exit: .internalBug,
        message: "the map of \(finding.printable) for \(image.printable) is not the network's: "
          + "its mean plus the bias differs from the logit by \(discrepancy)",
        hint: "this is a bug of chexnet; please report it with the checkpoint's first lines (chexnet doctor)")
    case .maskTooLarge(let border, let cells):
      Diagnosis(
        id: "heatmap.mask-too-large", exit: .usage,
        message: "a border of \(border) cells leaves nothing of a map of \(cells) × \(cells)",
        hint: "give --mask-border \((cells - 1) / 2) at most")
    case .unknownFinding(let name, let nearest, let known):
      Diagnosis(
        id: "finding.unknown", exit: .usage,
        message: "unknown finding “\(name.printable)”" + (nearest.map { "; did you mean \($0.printable)?" } ?? ""),
        hint: "the checkpoint's findings are \(known.joined(separator: ", ").printable)")
    case .noCommonFinding(let checkpoint, let table):
      Diagnosis(
        id: "findings.none-in-common", exit: .badData,
        message:
          "the checkpoint's classes (\(list(checkpoint))) and the table's findings (\(list(table))) have none in common",
        hint: "import the weights with --classes, or give the table that belongs to them with --labels")
    case .noCommonClass(let count):
      Diagnosis(
        id: "ensemble.none-in-common", exit: .badData,
        message: "the \(count) members of the ensemble have no finding in common that the table has labels for",
        hint: "an ensemble is made of checkpoints of the same classes; name them with import-weights --classes")
    case .noLabels(let path):
      Diagnosis(
        id: "labels.missing", exit: .usage, message: "\(path.printable) names images but gives no labels",
        hint: "give the table of labels with --labels (for ChestX-ray14: Data_Entry_2017_v2020.csv)", file: path)
    case .sameName(let first, let second):
      Diagnosis(
        id: "output.same-name", exit: .usage,
        message: "the heatmaps of \(first.printable) and \(second.printable) would have the same name",
        hint: "draw them in two runs, each with an --output of its own")
    case .scores(let path, let line, let fault):
      diagnosis(path, line, fault)
    case .notFinite(let image):
      Diagnosis(
        id: "prediction.not-finite", exit: .badData,
        message: "the network's output for \(image.printable) is not a finite number",
        hint: "the checkpoint holds weights that overflow; it cannot be used", file: image)
    }
  }

  private func diagnosis(_ path: String, _ line: Int?, _ fault: ScoresFault) -> Diagnosis {
    let place = path.printable + (line.map { ", line \($0)" } ?? "")
    return switch fault {
    case .missingColumn(let column):
      Diagnosis(
        id: "scores.missing-column", exit: .badData, message: "\(place): expected a column “\(column)”, found none",
        hint: "predictions have the columns “Image Index” and prob_<finding>", file: path)
    case .notANumber(let column, let text):
      Diagnosis(
        id: "scores.not-a-number", exit: .badData,
        message: "\(place): expected a finite number in column \(column.printable), found “\(text.printable)”",
        file: path)
    case .missingImages(let images):
      Diagnosis(
        id: "scores.missing-images", exit: .badData,
        message: "\(place): no prediction for \(images.count) images of the list: \(list(images))",
        hint: "predict the whole list, or give the list that was predicted", file: path)
    case .duplicateImage(let image):
      Diagnosis(
        id: "scores.duplicate-image", exit: .badData, message: "\(place): a second prediction for \(image.printable)",
        file: path)
    }
  }
}

/// The first few of many names.
private func list(_ names: [String]) -> String {
  names.prefix(5).joined(separator: ", ").printable + (names.count > 5 ? ", …" : "")
}
