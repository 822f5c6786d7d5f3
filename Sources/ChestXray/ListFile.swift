import Platform
import Tensors

/// A list of images or a table of labels, as its file has it. The dialect is told by content:
///
/// - `00001522_000.png 0 0 1 …`: a name and fourteen zeros or ones, in the order of `Finding` (the 70/10/20 lists);
/// - `00001522_000.png`: names only (NIH's `train_val_list.txt` and `test_list.txt`);
/// - a CSV whose header has `Finding Labels`: `Data_Entry_2017.csv`, findings separated by `|`;
/// - a CSV with a column for each finding, or with `label_<class>` columns as in `predictions.csv`.
struct ListFile {
  struct Row {
    /// From 1.
    var line: Int
    var sample: Sample
  }

  /// nil where the file has no labels.
  private(set) var findings: [String]?
  private(set) var rows: [Row] = []
  /// The header of a CSV, for messages; nil for the other dialects.
  private(set) var header: [String]?

  /// The largest list or table that is read, in bytes; ChestX-ray14's table has 9 MB.
  static let largestFile = 256 << 20

  /// Errors: `platform`, and `table` for each fault.
  init(path: String) throws(ChestXrayError) {
    try self.init(contents(of: path, atMost: Self.largestFile), path: path)
  }

  init(_ bytes: [UInt8], path: String) throws(ChestXrayError) {
    let start = bytes.starts(with: byteOrderMark) ? byteOrderMark.count : 0
    let lines = TextLines(bytes[start...])
    guard let first = lines.first else { throw .table(path: path, line: nil, .empty) }
    let text = String(decoding: first.text, as: UTF8.self)
    if text.contains(",") || TableColumns.isImageColumn(text) {
      try readCSV(CSVTable(bytes, path: path), path: path)
    } else if Self.isReferenceLine(first.text) {
      try readReferenceList(lines, path: path)
    } else if Self.isImageName(text) {
      rows = lines.map { line in
        Row(line: line.number, sample: Self.sample(String(decoding: line.text, as: UTF8.self), labels: []))
      }
    } else {
      throw .table(path: path, line: first.number, .unknownDialect(found: text))
    }
    if rows.isEmpty { throw .table(path: path, line: nil, .empty) }
    try refuseDuplicates(path: path)
  }

  /// Whether the file at `path` is a list rather than an image: its first line is text that names an image, with the ending
  /// of one, or columns of a table.
  static func isList(path: String) throws(ChestXrayError) -> Bool {
    let start: [UInt8]
    do {
      let reader = try FileReader(path: path)
      start = try reader.read(at: 0, count: min(4096, reader.size))
    } catch {
      throw .platform(error)
    }
    guard let end = start.firstIndex(of: UInt8(ascii: "\n")) ?? (start.isEmpty ? nil : start.endIndex),
      let line = String(validating: start[..<end], as: UTF8.self)
    else { return false }
    let words = line.split { $0 == "," || $0.isWhitespace }.map(String.init)
    return words.first.map { hasImageExtension($0) } ?? false || line.contains(",") && line.contains("Image Index")
      || words.first.map(TableColumns.isImageColumn) ?? false
  }

  /// Whether the line has a name and then numbers, or as many words as a name and fourteen labels.
  private static func isReferenceLine(_ line: ArraySlice<UInt8>) -> Bool {
    let words = words(of: line)
    return words.count == Finding.allCases.count + 1
      || words.count > 1 && Int(String(decoding: words[1], as: UTF8.self)) != nil
  }

  /// Whether the line could be the name of an image: one word, or a name that ends as images do.
  private static func isImageName(_ text: String) -> Bool {
    !text.contains(where: \.isWhitespace) || hasImageExtension(text)
  }

  private mutating func readReferenceList(_ lines: TextLines, path: String) throws(ChestXrayError) {
    let findings = Finding.allCases.map(\.name)
    for line in lines {
      let words = Self.words(of: line.text)
      guard words.count == findings.count + 1 else {
        throw .table(path: path, line: line.number, .columns(expected: findings.count + 1, found: words.count))
      }
      var labels: [Label] = []
      labels.reserveCapacity(findings.count)
      for (word, finding) in zip(words[1...], findings) {
        guard word.count == 1, let byte = word.first, byte == UInt8(ascii: "0") || byte == UInt8(ascii: "1") else {
          throw .table(
            path: path, line: line.number, .label(value: String(decoding: word, as: UTF8.self), column: finding))
        }
        labels.append(byte == UInt8(ascii: "1") ? .positive : .negative)
      }
      rows.append(
        Row(line: line.number, sample: Self.sample(String(decoding: words[0], as: UTF8.self), labels: labels)))
    }
    self.findings = findings
  }

  private mutating func readCSV(_ table: CSVTable, path: String) throws(ChestXrayError) {
    header = table.header
    let columns = try TableColumns(table, path: path)
    findings = columns.findings
    rows.reserveCapacity(table.rows.count)
    for row in table.rows {
      let image = trimmed(row.fields[columns.image])
      if image.isEmpty { throw .table(path: path, line: row.line, .noName) }
      var sample = Self.sample(image, labels: try columns.labels(row, path: path))
      if let column = columns.patient, let patient = patientName(row.fields[column]) { sample.patient = patient }
      sample.attributes = columns.attributes(row)
      rows.append(Row(line: row.line, sample: sample))
    }
  }

  private func refuseDuplicates(path: String) throws(ChestXrayError) {
    var lines: [String: Int] = [:]
    lines.reserveCapacity(rows.count)
    for row in rows {
      if let first = lines.updateValue(row.line, forKey: row.sample.image) {
        throw .table(path: path, line: row.line, .duplicate(name: row.sample.image, firstLine: first))
      }
    }
  }

  private static func sample(_ image: String, labels: [Label]) -> Sample {
    Sample(image: image, labels: labels, patient: patientDigits(ofImage: image).flatMap(patientName))
  }

  private static func words(of line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
  }
}

/// Whether a file of this name should be an image.
func hasImageExtension(_ name: String) -> Bool {
  let name = name.lowercased()
  return [".png", ".jpg", ".jpeg", ".dcm", ".dicom"].contains { name.hasSuffix($0) }
}

/// The lines of a text that are not blank, without blanks at their ends. The last one may lack its line end.
private struct TextLines: Sequence, IteratorProtocol {
  private let bytes: ArraySlice<UInt8>
  private var offset: Int
  private var number = 0

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    offset = bytes.startIndex
  }

  /// The first line, without moving.
  var first: (number: Int, text: ArraySlice<UInt8>)? {
    var copy = self
    return copy.next()
  }

  mutating func next() -> (number: Int, text: ArraySlice<UInt8>)? {
    while offset < bytes.endIndex {
      let end = bytes[offset...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
      var line = bytes[offset..<end]
      offset = end + 1
      number += 1
      while let last = line.last, isBlank(last) { line.removeLast() }
      while let first = line.first, isBlank(first) { line.removeFirst() }
      if !line.isEmpty { return (number, line) }
    }
    return nil
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
}
