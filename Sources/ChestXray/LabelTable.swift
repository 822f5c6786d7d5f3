import Tensors

/// One image of a list.
public struct Sample: Equatable, Sendable {
  /// The image as the list names it: a file name, or a path.
  public var image: String
  /// One for each finding of its table, in that order.
  public var labels: [Label]
  /// Without leading zeros: `1522`; nil where neither the table nor the image's name tells.
  public var patient: String?
  public var attributes: Attributes

  /// What a table says beside the labels; nil where it does not.
  public struct Attributes: Equatable, Hashable, Sendable {
    /// `F`, `M`, or whatever else the table says.
    public var sex: String?
    /// In years. Impossible ones, as the first release of NIH's table has (414), are nil.
    public var age: Int?
    /// `PA`, `AP`, …
    public var view: String?

    public init(sex: String? = nil, age: Int? = nil, view: String? = nil) {
      (self.sex, self.age, self.view) = (sex, age, view)
    }
  }

  public init(image: String, labels: [Label], patient: String?, attributes: Attributes = Attributes()) {
    self.image = image
    self.labels = labels
    self.patient = patient
    self.attributes = attributes
  }
}

/// The images of a list, in its order, with their labels.
///
/// Every dialect is told by content (`ListFile`): lists of a name and fourteen labels, lists of names, NIH's
/// `Data_Entry_2017.csv`, and tables with a column for each finding.
public struct LabelTable: Equatable, Sendable {
  /// The classes, in the table's order; those that are one of the fourteen findings are called by `Finding.name`.
  public let findings: [String]
  public let samples: [Sample]

  public init(findings: [String], samples: [Sample]) {
    precondition(samples.allSatisfy { $0.labels.count == findings.count })
    self.findings = findings
    self.samples = samples
  }

  /// The images of the list at `list`. With `labels`, the labels and patients of that table replace the list's own.
  ///
  /// Errors: `platform` where a file is missing, and `table` with the line of every fault in `TableFault`.
  public init(list: String, labels: String? = nil) throws(ChestXrayError) {
    let names = try ListFile(path: list)
    guard let labels else {
      guard let findings = names.findings else {
        throw .table(path: list, line: nil, names.header.map { .noFindingColumn(header: $0) } ?? .labelsNeeded)
      }
      self.init(findings: findings, samples: names.rows.map(\.sample))
      return
    }
    let table = try ListFile(path: labels)
    guard let findings = table.findings else {
      throw .table(path: labels, line: nil, table.header.map { .noFindingColumn(header: $0) } ?? .labelsNeeded)
    }
    let index = RowIndex(table.rows)
    var samples: [Sample] = []
    samples.reserveCapacity(names.rows.count)
    for row in names.rows {
      let name = row.sample.image
      switch index.find(name) {
      case .absent: throw .table(path: list, line: row.line, .absent(name: name, table: labels))
      case .ambiguous: throw .table(path: list, line: row.line, .ambiguous(name: name, table: labels))
      case .row(let found):
        var sample = table.rows[found].sample
        sample.image = name
        sample.patient = sample.patient ?? row.sample.patient
        samples.append(sample)
      }
    }
    self.init(findings: findings, samples: samples)
  }

  /// The same, where a list without labels of its own and without a table of them is one without findings.
  public init(unlabelled list: String, labels: String?) throws(ChestXrayError) {
    if labels == nil {
      let names = try ListFile(path: list)
      if names.findings == nil {
        self.init(
          findings: [],
          samples: names.rows.map(\.sample).map { Sample(image: $0.image, labels: [], patient: $0.patient) })
        return
      }
    }
    try self.init(list: list, labels: labels)
  }

  /// The names of the images in the list at `path`, of any dialect, whether or not it has labels.
  public static func imageNames(list path: String) throws(ChestXrayError) -> [String] {
    try ListFile(path: path).rows.map(\.sample.image)
  }

  /// For each of `classes`, the column of the finding of that name in any spelling; nil where the table has none.
  public func columns(for classes: [String]) -> [Int?] {
    classes.map { name in findings.firstIndex(of: canonicalClassName(name)) }
  }

  /// How many samples have `label`, for each finding in order.
  public func counts(of label: Label) -> [Int] {
    var counts = [Int](repeating: 0, count: findings.count)
    for sample in samples {
      for (column, found) in sample.labels.enumerated() where found == label { counts[column] += 1 }
    }
    return counts
  }

  /// How many samples are positive, for each finding in order.
  public var positives: [Int] { counts(of: .positive) }
}

/// The rows of a table of labels by image: by the whole name, else by the file name alone where only one row has it.
private struct RowIndex {
  enum Found {
    case row(Int)
    case absent
    case ambiguous
  }

  private var byName: [String: Int] = [:]
  /// nil where several rows share the file name.
  private var byFileName: [String: Int?] = [:]

  init(_ rows: [ListFile.Row]) {
    byName.reserveCapacity(rows.count)
    byFileName.reserveCapacity(rows.count)
    for (index, row) in rows.enumerated() {
      byName[row.sample.image] = index
      let name = fileName(of: row.sample.image)
      byFileName[name] = byFileName.keys.contains(name) ? Int?.none : index
    }
  }

  func find(_ name: String) -> Found {
    if let row = byName[name] { return .row(row) }
    guard let row = byFileName[fileName(of: name)] else { return .absent }
    return row.map { .row($0) } ?? .ambiguous
  }
}

/// What follows the last slash.
public func fileName(of path: String) -> String {
  path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) } ?? path
}

/// The digits of the patient in a name of ChestX-ray14: `00001522` of `images_006/00001522_000.png`; nil for other
/// names.
func patientDigits(ofImage path: String) -> String? {
  let name = Array(fileName(of: path).utf8)
  let isDigit = { (byte: UInt8) in byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
  guard name.count == 16, name[..<8].allSatisfy(isDigit), name[8] == UInt8(ascii: "_"),
    name[9..<12].allSatisfy(isDigit), name[12...].elementsEqual(".png".utf8)
  else { return nil }
  return String(decoding: name[..<8], as: UTF8.self)
}

/// A patient's number without leading zeros (the first release of NIH's table has them); other names as they are.
func patientName(_ text: String) -> String? {
  let name = trimmed(text)
  guard !name.isEmpty else { return nil }
  guard name.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else { return name }
  let digits = name.drop { $0 == "0" }
  return digits.isEmpty ? "0" : String(digits)
}
