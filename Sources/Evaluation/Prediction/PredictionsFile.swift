import ChestXray
import Platform
import Tensors

extension Predictions {
  /// The predictions in the CSV file at `path` for the images of `table`, with the table's labels, in the table's order.
  ///
  /// The file has the columns `Image Index` and `prob_<finding>`, whoever made it; others are left alone, and so are rows of
  /// images that the table does not name. Images are matched by their file names. Throws where an image of the table has no row
  /// or two, or a probability is not a finite number.
  public init(path: String, table: LabelTable) throws(EvaluationError) {
    let file: CSVTable
    do {
      file = try CSVTable(path: path)
    } catch {
      throw .cause(error)
    }
    guard let imageColumn = file.header.firstIndex(of: "Image Index") else {
      throw .scores(path: path, line: 1, .missingColumn("Image Index"))
    }
    let columns = file.header.indices.filter { file.header[$0].hasPrefix("prob_") }
    guard !columns.isEmpty else { throw .scores(path: path, line: 1, .missingColumn("prob_<finding>")) }

    var rows: [String: [Double]] = [:]
    for row in file.rows {
      let image = fileName(of: row.fields[imageColumn])
      var probabilities: [Double] = []
      for column in columns {
        guard let value = Double(row.fields[column]), value.isFinite else {
          throw .scores(
            path: path, line: row.line, .notANumber(column: file.header[column], text: row.fields[column]))
        }
        probabilities.append(value)
      }
      guard rows.updateValue(probabilities, forKey: image) == nil else {
        throw .scores(path: path, line: row.line, .duplicateImage(image))
      }
    }
    self.init(findings: columns.map { String(file.header[$0].dropFirst("prob_".count)) }, table: table)
    guard isLabelled.contains(true) else { throw .noCommonFinding(checkpoint: findings, table: table.findings) }
    let missing = table.samples.map(\.image).filter { rows[fileName(of: $0)] == nil }
    guard missing.isEmpty else { throw .scores(path: path, line: nil, .missingImages(missing)) }
    for sample in table.samples {
      guard let probabilities = rows[fileName(of: sample.image)] else { continue }
      append(
        image: sample.image, patient: sample.patient, exactProbabilities: probabilities, labels: sample.labels)
    }
  }
}
