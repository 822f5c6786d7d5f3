/// What a list has in common with another one: a network that has learned from the one is not judged by the other.
///
/// Images are the same where their names are; the names of ChestX-ray14, and those that one of the lists writes without folders, without their
/// folders. Patients are the same where their numbers are.
public struct ListOverlap: Equatable, Sendable {
  /// Sorted names.
  public let images: [String]
  /// Sorted as texts.
  public let patients: [String]

  public init(_ first: LabelTable, _ second: LabelTable) {
    func common(_ value: (Sample) -> String?) -> [String] {
      Set(first.samples.compactMap(value)).intersection(second.samples.compactMap(value)).sorted()
    }
    let haveFolders = [first, second].allSatisfy { $0.samples.contains { $0.image.utf8.contains(UInt8(ascii: "/")) } }
    images = common { haveFolders && patientDigits(ofImage: $0.image) == nil ? $0.image : fileName(of: $0.image) }
    patients = common(\.patient)
  }

  public var isEmpty: Bool { images.isEmpty && patients.isEmpty }
}

extension LabelTable {
  /// How many patients are known; images of which no patient is known are none's.
  public var patientCount: Int { Set(samples.compactMap(\.patient)).count }
}
