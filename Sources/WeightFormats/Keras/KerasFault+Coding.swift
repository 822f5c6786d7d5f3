import Platform

// A fault as the process that reads the file tells it to ours: a list of the case's name and its values.
extension KerasFault {
  var json: JSONValue {
    switch self {
    case .damaged(let doing): ["damaged", .string(doing)]
    case .noLayerNames: ["noLayerNames"]
    case .malformedAttribute(let name): ["malformedAttribute", .string(name)]
    case .missingWeight(let name): ["missingWeight", .string(name)]
    case .unsafeLink(let name): ["unsafeLink", .string(name)]
    case .foreignStorage(let name): ["foreignStorage", .string(name)]
    case .unknownFilter(let name, let filter): ["unknownFilter", .string(name), JSONValue(filter)]
    case .unsupportedType(let name): ["unsupportedType", .string(name)]
    case .bomb(let name, let declared, let stored): ["bomb", .string(name), JSONValue(declared), JSONValue(stored)]
    case .tooManyObjects(let limit): ["tooManyObjects", JSONValue(limit)]
    case .tooDeep(let limit): ["tooDeep", JSONValue(limit)]
    case .tooLongNames(let limit): ["tooLongNames", JSONValue(limit)]
    case .tooLarge(let name, let bytes, let limit): ["tooLarge", .string(name), JSONValue(bytes), JSONValue(limit)]
    case .userBlock(let bytes): ["userBlock", JSONValue(bytes)]
    case .malformedRecord(let name, let reason): ["malformedRecord", .string(name), .string(reason)]
    case .readerCrashed(let signal): ["readerCrashed", JSONValue(signal)]
    case .readerExited(let status): ["readerExited", JSONValue(status)]
    case .readerStalled(let seconds): ["readerStalled", JSONValue(seconds)]
    case .readerUnbelievable(let reason): ["readerUnbelievable", .string(reason)]
    case .unconfined(let doing, let code): ["unconfined", .string(doing), JSONValue(code)]
    case .noLibrary(let reason): ["noLibrary", .string(reason)]
    }
  }

  /// Nil where the list is none that `json` gives.
  init?(_ json: JSONValue) {
    let texts = json.array?.dropFirst().compactMap(\.string) ?? []
    let numbers = json.array?.dropFirst().compactMap(\.integer) ?? []
    func text(_ make: (String) -> KerasFault) -> KerasFault? { texts.first.map(make) }
    func number(_ make: (Int) -> KerasFault) -> KerasFault? { numbers.first.map(make) }
    func both(_ make: (String, Int) -> KerasFault) -> KerasFault? {
      texts.first.flatMap { text in numbers.first.map { make(text, $0) } }
    }
    let fault: KerasFault? =
      switch json[0]?.string {
      case "damaged": text { .damaged(doing: $0) }
      case "noLayerNames": .noLayerNames
      case "malformedAttribute": text { .malformedAttribute($0) }
      case "missingWeight": text { .missingWeight($0) }
      case "unsafeLink": text { .unsafeLink($0) }
      case "foreignStorage": text { .foreignStorage($0) }
      case "unknownFilter": both { .unknownFilter($0, filter: $1) }
      case "unsupportedType": text { .unsupportedType($0) }
      case "bomb" where numbers.count == 2: text { .bomb($0, declared: numbers[0], stored: numbers[1]) }
      case "tooManyObjects": number { .tooManyObjects(limit: $0) }
      case "tooDeep": number { .tooDeep(limit: $0) }
      case "tooLongNames": number { .tooLongNames(limit: $0) }
      case "tooLarge" where numbers.count == 2: text { .tooLarge($0, bytes: numbers[0], limit: numbers[1]) }
      case "userBlock": number { .userBlock(bytes: $0) }
      case "malformedRecord" where texts.count == 2: .malformedRecord(texts[0], reason: texts[1])
      case "readerCrashed": number { .readerCrashed(signal: $0) }
      case "readerExited": number { .readerExited(status: $0) }
      case "readerStalled": number { .readerStalled(seconds: $0) }
      case "readerUnbelievable": text { .readerUnbelievable(reason: $0) }
      case "noLibrary": text { .noLibrary(reason: $0) }
      case "unconfined": both { .unconfined(doing: $0, errno: $1) }
      default: nil
      }
    guard let fault else { return nil }
    self = fault
  }
}
