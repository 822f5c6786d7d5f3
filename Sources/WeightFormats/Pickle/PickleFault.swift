import Platform

/// The ways in which a pickle can lie, and what it may not ask for.
public enum PickleFault: Equatable, Sendable {
  /// The bytes end before the pickle does.
  case truncated
  case trailingBytes(offset: Int)
  case unsupportedProtocol(Int)
  case unsupportedOpcode(UInt8, offset: Int)
  /// A function or class that runs commands, opens files or reaches into Python itself. Nothing of it was run.
  case dangerousGlobal(String)
  /// A tensor is held by an object of a class that is none of the known ones, or was given to such a function.
  case throughUnknownGlobal(tensor: String, global: String)
  case limit(what: String, limit: Int)
  case stackUnderflow(offset: Int)
  case missingMemo(index: Int, offset: Int)
  case malformedText(offset: Int)
  /// An operation found a value of another kind than it needs.
  case wrongOperand(offset: Int, reason: String)
  case malformedStorage(reason: String)
  case malformedTensor(reason: String)
  case unsupportedElements(String)

  var diagnosis: Diagnosis {
    switch self {
    case .truncated: bad("truncated", "it ends in the middle", "copy or download the file again")
    case .trailingBytes(let offset): bad("trailing-bytes", "something stands behind its end at byte \(offset)")
    case .unsupportedProtocol(let number): bad("unsupported-protocol", "protocol \(number) is not read, 2 to 5 are")
    case .unsupportedOpcode(let code, let offset):
      bad("unsupported-opcode", "operation 0x\(String(code, radix: 16)) at byte \(offset) has no place in weights")
    case .dangerousGlobal(let name):
      Diagnosis(
        id: "pickle.dangerous-global", exit: .unsafeFile,
        message:
          "pickle: it asks for \(name.printable), which can harm a computer and which no weights need; nothing was run",
        hint: "do not load this file in Python; --inspect lists everything that it asks for")
    case .throughUnknownGlobal(let tensor, let global):
      Diagnosis(
        id: "pickle.unknown-global", exit: .unsafeFile,
        message:
          "pickle: the tensor \(tensor.printable) is reached only through \(global.printable), which is not known here",
        hint: "--allow-module-pickle reads the attributes of such objects as plain data, running nothing; "
          + "or save model.state_dict() instead and import that")
    case .limit(let what, let limit):
      Diagnosis(id: "pickle.limit", exit: .unsafeFile, message: "pickle: more than \(limit) \(what.printable)")
    case .stackUnderflow(let offset): bad("stack-underflow", "the operation at byte \(offset) finds an empty stack")
    case .missingMemo(let index, let offset):
      bad("missing-memo", "the operation at byte \(offset) asks for memo \(index), which was not written")
    case .malformedText(let offset): bad("malformed-text", "the text at byte \(offset) is malformed")
    case .wrongOperand(let offset, let reason): bad("wrong-operand", "at byte \(offset): \(reason.printable)")
    case .malformedStorage(let reason): bad("malformed-storage", "a storage is malformed: \(reason.printable)")
    case .malformedTensor(let reason): bad("malformed-tensor", "a tensor is malformed: \(reason.printable)")
    case .unsupportedElements(let type):
      bad("unsupported-elements", "a tensor has elements of type \(type.printable), which no DenseNet has")
    }
  }

  private func bad(_ id: String, _ message: String, _ hint: String? = nil) -> Diagnosis {
    Diagnosis(id: "pickle.\(id)", exit: .badData, message: "pickle: " + message, hint: hint)
  }
}
