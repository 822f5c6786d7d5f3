import Platform
import Tensors

/// Which columns of a CSV name the image and the patient, and which hold labels.
struct TableColumns {
  let image: Int
  let patient: Int?
  /// The classes in the order of the columns; nil where no column holds labels.
  let findings: [String]?
  private let source: Source
  private let sex: Int?
  private let age: Int?
  private let view: Int?

  private enum Source {
    /// One column of text, findings separated by `|`.
    case text(column: Int)
    /// A column for each finding.
    case columns([Int])
  }

  /// Errors: `noImageColumn`, `repeatedColumn`, `misspelledColumn`.
  init(_ table: CSVTable, path: String) throws(ChestXrayError) {
    let keys = table.header.map(nameKey)
    guard let image = keys.firstIndex(where: Self.imageKeys.contains) else {
      throw .table(path: path, line: 1, .noImageColumn(header: table.header))
    }
    self.image = image
    patient = keys.firstIndex(where: Self.patientKeys.contains)
    sex = keys.firstIndex(where: Self.sexKeys.contains)
    age = keys.firstIndex(where: Self.ageKeys.contains)
    view = keys.firstIndex(where: Self.viewKeys.contains)
    if let column = keys.firstIndex(of: "findinglabels") {
      source = .text(column: column)
      findings = Finding.allCases.map(\.name)
      return
    }
    var columns: [Int] = []
    var names: [String] = []
    for (column, name) in try Self.labelColumns(of: table, keys: keys, path: path) {
      if names.contains(name) { throw .table(path: path, line: 1, .repeatedColumn(name)) }
      columns.append(column)
      names.append(name)
    }
    source = .columns(columns)
    findings = names.isEmpty ? nil : names
  }

  /// The labels of a row, one for each of `findings`.
  ///
  /// Errors: `label`, `unknownFinding`, `contradiction`.
  func labels(_ row: CSVReader.Row, path: String) throws(ChestXrayError) -> [Label] {
    switch source {
    case .text(let column):
      return try Self.labels(row.fields[column], line: row.line, path: path)
    case .columns(let columns):
      var labels: [Label] = []
      labels.reserveCapacity(columns.count)
      for (index, column) in columns.enumerated() {
        guard let label = Self.label(row.fields[column]) else {
          throw .table(
            path: path, line: row.line, .label(value: row.fields[column], column: findings?[index] ?? "label"))
        }
        labels.append(label)
      }
      return labels
    }
  }

  /// What a row says beside its labels.
  func attributes(_ row: CSVReader.Row) -> Sample.Attributes {
    func text(_ column: Int?) -> String? {
      column.map { trimmed(row.fields[$0]).uppercased() }.flatMap { $0.isEmpty ? nil : $0 }
    }
    let sex: [String: String] = ["FEMALE": "F", "MALE": "M"]
    return Sample.Attributes(
      sex: text(self.sex).map { sex[$0] ?? $0 }, age: text(age).flatMap(Self.years), view: text(view))
  }

  /// The years of `57`, `057Y`, `018M`, `10W` or `003D`; nil where nobody is so old.
  private static func years(_ text: String) -> Int? {
    let units: [Character: Double] = ["Y": 1, "M": 1 / 12.0, "W": 7 / 365.25, "D": 1 / 365.25]
    let unit = text.last.flatMap { units[$0] }
    guard let number = Double(unit == nil ? text : String(text.dropLast())), number.isFinite else { return nil }
    let years = number * (unit ?? 1)
    return (0...120).contains(years) ? Int(years) : nil
  }

  /// The columns that hold labels, with their classes' names.
  ///
  /// `label_` says so by itself. Otherwise a column is one where its name is a finding, or where its name is not known
  /// to say something else and every cell is a label; of the latter, one that nearly is a finding is refused, for it is
  /// more likely misspelled than meant.
  private static func labelColumns(
    of table: CSVTable, keys: [String], path: String
  ) throws(ChestXrayError) -> [(Int, String)] {
    let labelled = table.header.indices.filter { table.header[$0].hasPrefix("label_") }
    if !labelled.isEmpty {
      return labelled.map { ($0, canonicalClassName(String(table.header[$0].dropFirst("label_".count)))) }
    }
    var columns: [(Int, String)] = []
    for (column, name) in table.header.enumerated() {
      if let finding = Finding(named: name) {
        columns.append((column, finding.name))
      } else if !isMetadata(keys[column]), table.rows.allSatisfy({ label($0.fields[column]) != nil }) {
        if let nearest = Finding.nearest(to: name) {
          throw .table(path: path, line: 1, .misspelledColumn(name, nearest: nearest))
        }
        columns.append((column, name))
      }
    }
    return columns
  }

  /// The labels of a text like `Cardiomegaly|Effusion` or `No Finding`.
  private static func labels(_ text: String, line: Int, path: String) throws(ChestXrayError) -> [Label] {
    var labels = [Label](repeating: .negative, count: Finding.allCases.count)
    let parts = text.split(separator: "|", omittingEmptySubsequences: false).map { trimmed(String($0)) }
    if parts == [""] { return [Label](repeating: .unknown, count: labels.count) }
    for part in parts {
      if nameKey(part) == "nofinding" {
        if parts.count > 1 { throw .table(path: path, line: line, .contradiction(text)) }
        return labels
      }
      guard let finding = Finding(named: part), let index = Finding.allCases.firstIndex(of: finding) else {
        throw .table(path: path, line: line, .unknownFinding(part, nearest: Finding.nearest(to: part)))
      }
      labels[index] = .positive
    }
    return labels
  }

  /// The label that a cell says; nil where it says none.
  private static func label(_ text: String) -> Label? {
    switch trimmed(text) {
    case "0", "0.0": .negative
    case "1", "1.0": .positive
    case "", "-1", "-1.0": .unknown
    default: nil
    }
  }

  /// Whether a column of this name names images.
  static func isImageColumn(_ name: String) -> Bool { imageKeys.contains(nameKey(name)) }

  private static func isMetadata(_ key: String) -> Bool {
    [metadataKeys, imageKeys, patientKeys, sexKeys, ageKeys, viewKeys].contains { $0.contains(key) }
      || key.hasPrefix("prob")
  }

  private static let imageKeys: Set = [
    "imageindex", "image", "imagename", "imagepath", "imagefile", "path", "file", "filename", "filepath",
  ]
  private static let patientKeys: Set = ["patientid", "patient", "subjectid", "subject"]
  private static let sexKeys: Set = ["patientgender", "patientsex", "gender", "sex"]
  private static let ageKeys: Set = ["patientage", "age"]
  private static let viewKeys: Set = ["viewposition", "view", "ap/pa"]
  /// Of NIH's table and of others that have a column for each finding. `No Finding` says nothing that the others do
  /// not.
  private static let metadataKeys: Set = [
    "", "nofinding", "followup#", "followup", "frontal/lateral", "originalimage[width", "height]",
    "originalimagepixelspacing[x", "y]", "width", "height", "split", "fold", "index", "id", "studyid", "unnamed:0",
  ]

}
