/// Where a radiologist saw a finding: a rectangle in the pixels of the image (ChestX-ray14's are 1024 × 1024), from its
/// upper left corner.
public struct FindingBox: Equatable, Sendable {
  /// The file's name.
  public var image: String
  public var finding: Finding
  public var x: Double
  public var y: Double
  public var width: Double
  public var height: Double

  public init(image: String, finding: Finding, x: Double, y: Double, width: Double, height: Double) {
    self.image = image
    self.finding = finding
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }

  /// The boxes of `BBox_List_2017.csv`, in its order: image, finding (`Infiltrate` is Infiltration), x, y, width,
  /// height. Its header, `Image Index,Finding Label,Bbox [x,y,w,h],,,`, splits into the same six columns.
  ///
  /// Errors: `platform`, and `table` with `columns`, `unknownFinding` or `box`.
  public static func read(_ path: String) throws(ChestXrayError) -> [FindingBox] {
    let table = try CSVTable(path: path)
    guard table.header.count == 6, TableColumns.isImageColumn(table.header[0]) else {
      throw .table(path: path, line: 1, .columns(expected: 6, found: table.header.count))
    }
    var boxes: [FindingBox] = []
    for row in table.rows {
      guard let finding = Finding(named: row.fields[1]) else {
        throw .table(
          path: path, line: row.line, .unknownFinding(row.fields[1], nearest: Finding.nearest(to: row.fields[1])))
      }
      let numbers = row.fields[2...].compactMap { Double(trimmed($0)) }
      guard numbers.count == 4, numbers.allSatisfy({ $0 >= 0 && $0 <= Double(Radiograph.largestSide) }),
        numbers[2] > 0, numbers[3] > 0
      else { throw .table(path: path, line: row.line, .box(value: row.fields[2...].joined(separator: ","))) }
      boxes.append(
        FindingBox(
          image: trimmed(row.fields[0]), finding: finding, x: numbers[0], y: numbers[1], width: numbers[2],
          height: numbers[3]))
    }
    return boxes
  }
}
