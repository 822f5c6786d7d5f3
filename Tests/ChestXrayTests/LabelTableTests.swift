import Foundation
import Platform
import Testing

@testable import ChestXray

@Suite struct LabelTableTests {
  /// The table of a list with this text and, where it is given, of a table of labels with that one.
  private func table(_ list: String, labels: String? = nil) throws -> LabelTable {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try AtomicFile.write(list, to: folder + "/list", overwriting: false)
    if let labels { try AtomicFile.write(labels, to: folder + "/labels", overwriting: false) }
    return try LabelTable(list: folder + "/list", labels: labels.map { _ in folder + "/labels" })
  }

  private static let zeros = String(repeating: " 0", count: 13)
  private static let nih =
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    + "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"

  @Test("a list of names and fourteen labels", arguments: ["\n", "\r\n"])
  func referenceList(end: String) throws {
    let table = try table(
      "00001522_000.png 0 1\(Self.zeros.dropLast(2))\(end)images_006/00011997_001.png\(Self.zeros) 1")
    #expect(table.findings == Finding.allCases.map(\.name))
    #expect(table.samples.map(\.image) == ["00001522_000.png", "images_006/00011997_001.png"])
    #expect(table.samples.map(\.patient) == ["1522", "11997"])
    #expect(table.positives == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    #expect(table.counts(of: .unknown) == [Int](repeating: 0, count: 14))
  }

  @Test("names only, with NIH's table")
  func nihList() throws {
    let labels =
      Self.nih + ",\n00000001_000.png,Cardiomegaly|Pleural_Thickening,000,00000001,058Y,M,PA,2682,2749,0.143,0.143,\n"
      + "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171,\n"
    let table = try table("images_001/00000002_000.png\n00000001_000.png", labels: labels)
    #expect(table.samples.map(\.image) == ["images_001/00000002_000.png", "00000001_000.png"])
    #expect(table.samples.map(\.patient) == ["2", "1"])
    #expect(table.positives == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0])
    #expect(table.samples[0].labels.allSatisfy { $0 == .negative })
    #expect(table.samples.map(\.attributes.age) == [81, 58])
    #expect(table.samples.map(\.attributes.sex) == ["M", "M"])
    #expect(table.samples.map(\.attributes.view) == ["PA", "PA"])
  }

  @Test("a table's labels replace the list's own")
  func replaced() throws {
    let table = try table(
      "a.png\(Self.zeros) 1\n", labels: "path,Mass,Infiltrate\nx/a.png,1,\nb.png,0,1\n")
    #expect(table.findings == ["Mass", "Infiltration"])
    #expect(table.samples == [Sample(image: "a.png", labels: [.positive, .unknown], patient: nil)])
  }

  @Test("a CSV with a column for each finding; empty and −1 are unknown")
  func columns() throws {
    let table = try table(
      "\u{FEFF}Path,Sex,Age,No Finding,Lung Opacity,Pleural Thickening,Patient ID,Note\r\n"
        + "p1/a.jpg,F,61,1,-1,1.0,p1,\"fine, \"\"clear\"\"\"\r\np2/a.jpg,M,70,,0,,p2,\r\n")
    #expect(table.findings == ["Lung Opacity", "Pleural_Thickening"])
    #expect(table.samples.map(\.labels) == [[.unknown, .positive], [.negative, .unknown]])
    #expect(table.samples.map(\.patient) == ["p1", "p2"])
    #expect(table.columns(for: ["PT", "Mass", "Lung Opacity"]) == [1, nil, 0])
  }

  @Test("predictions: the columns of labels, not those of probabilities")
  func predictions() throws {
    let table = try table(
      "Image Index,Patient ID,prob_Mass,prob_Edema,label_Mass,label_Edema\n00000003_000.png,3,0.25,1,1,0\n")
    #expect(table.findings == ["Mass", "Edema"])
    #expect(table.samples[0].labels == [.positive, .negative])
  }

  @Test("the names of a list are read in every dialect, without labels too")
  func names() throws {
    let folder = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (index, text) in ["a.png\nmy image.png", "path,Age\na.png,5\nmy image.png,6\n", "path\na.png\nmy image.png\n"]
      .enumerated()
    {
      try AtomicFile.write(text, to: folder + "/\(index)", overwriting: false)
      #expect(try LabelTable.imageNames(list: folder + "/\(index)") == ["a.png", "my image.png"])
    }
  }

  static let faults: [(String, String, String?, Int?, TableFault)] = [
    ("an empty list", "", nil, nil, .empty),
    ("a list of blank lines", " \n\r\n", nil, nil, .empty),
    ("a header alone", "path,Mass\n", nil, nil, .empty),
    ("a binary file", "PK \u{3}\u{4} x\n", nil, 1, .unknownDialect(found: "PK \u{3}\u{4} x")),
    ("thirteen labels", "a.png\(zeros) 0\nb.png\(zeros)\n", nil, 2, .columns(expected: 15, found: 14)),
    ("fifteen labels", "a.png\(zeros) 0 0\n", nil, 1, .columns(expected: 15, found: 16)),
    ("a label of 2", "a.png 2\(zeros)\n", nil, 1, .label(value: "2", column: "Atelectasis")),
    ("a label that is text", "a.png\(zeros) x\n", nil, 1, .label(value: "x", column: "Hernia")),
    ("a row twice", "a.png\n\nb.png\na.png\n", nil, 4, .duplicate(name: "a.png", firstLine: 1)),
    ("names without labels", "a.png\n", nil, nil, .labelsNeeded),
    ("a table without labels", "path,Age\na.png,44\n", nil, nil, .noFindingColumn(header: ["path", "Age"])),
    ("a table without images", "Mass,Edema\n1,0\n", nil, 1, .noImageColumn(header: ["Mass", "Edema"])),
    ("a cell of 2", "path,Mass\na.png,2\n", nil, 2, .label(value: "2", column: "Mass")),
    ("a nameless row", "path,Mass\n ,1\n", nil, 2, .noName),
    ("a short row", "path,Mass\na.png\n", nil, 2, .columns(expected: 2, found: 1)),
    (
      "a misspelled column", "path,Cardiomegali\na.png,1\n", nil, 1,
      .misspelledColumn("Cardiomegali", nearest: .cardiomegaly)
    ),
    ("a finding in two columns", "path,PT,Pleural Thickening\na,1,0\n", nil, 1, .repeatedColumn("Pleural_Thickening")),
    (
      "a misspelled finding", "Image Index,Finding Labels\na.png,Mass|Nodul\n", nil, 2,
      .unknownFinding("Nodul", nearest: .nodule)
    ),
    (
      "no finding and a finding", "Image Index,Finding Labels\na.png,No Finding|Mass\n", nil, 2,
      .contradiction("No Finding|Mass")
    ),
    ("an open quote", "path,Mass\n\"a.png,1\n", nil, 2, .unclosedQuote),
    ("an image that the table lacks", "a.png\nb.png\n", "path,Mass\na.png,1\n", 2, .absent(name: "b.png", table: "")),
    (
      "an image that several rows could be", "a.png\n", "path,Mass\nx/a.png,1\ny/a.png,0\n", 1,
      .ambiguous(name: "a.png", table: "")
    ),
  ]

  @Test("every fault of a list is an error with its line", arguments: faults)
  func faulty(name: String, list: String, labels: String?, line: Int?, fault: TableFault) throws {
    let error = #expect(throws: ChestXrayError.self) { try table(list, labels: labels) }
    guard case .table(_, let foundLine, let found) = error else {
      Issue.record("\(name): \(String(describing: error))")
      return
    }
    #expect(foundLine == line)
    #expect(withoutTable(found) == fault)
    #expect(error?.diagnosis.exit == .badData)
    #expect(error?.diagnosis.hint != nil)
  }

  /// The table's path differs in every run.
  private func withoutTable(_ fault: TableFault) -> TableFault {
    switch fault {
    case .absent(let name, _): .absent(name: name, table: "")
    case .ambiguous(let name, _): .ambiguous(name: name, table: "")
    default: fault
    }
  }

  @Test("a message tells the line, what was found and what to do")
  func words() {
    let error = ChestXrayError.table(path: "d.csv", line: 7, .unknownFinding("Nodul\u{7}", nearest: .nodule)).diagnosis
    #expect(error.message == "d.csv, line 7: `Nodul\\u{7}` is not a finding")
    #expect(error.hint == "did you mean Nodule?")
    #expect(error.id == "table.unknown-finding")
  }

  @Test("a missing list is a missing input")
  func missing() {
    let error = #expect(throws: ChestXrayError.self) { try LabelTable(list: "/nowhere/list.txt") }
    #expect(error?.diagnosis.exit == .inputMissing)
  }
}
