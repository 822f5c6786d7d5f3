import Engine
import Foundation
import Platform
import TestSupport
import Testing

@testable import Accelerators

/// The tests that have a Gaudi played by Tests/GaudiStub: one after the other, for a process has one card.
@Suite(.serialized) enum Stubbed {}

/// The stand-in for Synapse in this process (Tests/GaudiStub/include/GaudiStub.h says what its functions do).
struct GaudiStub {
  static let shared = Result { try GaudiStub() }

  let library: DynamicLibrary
  private let faultName: @convention(c) () -> UnsafePointer<CChar>?
  private let faultText: @convention(c) () -> UnsafePointer<CChar>?
  private let count: @convention(c) (UnsafeMutablePointer<UInt64>) -> Void
  private let forgetAll: @convention(c) () -> Void
  private let structLayout: @convention(c) (UnsafePointer<CChar>) -> Int

  private init() throws {
    // Cards are held by files here, so that other processes' stubs have cards of their own.
    let folder = NSTemporaryDirectory() + "gaudi-stub-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    setenv("GAUDI_STUB_RUN", folder, 1)
    library = try DynamicLibrary([builtGaudiStub])
    faultName = try library.symbol("gaudi_stub_last_fault")
    faultText = try library.symbol("gaudi_stub_last_text")
    count = try library.symbol("gaudi_stub_counters")
    forgetAll = try library.symbol("gaudi_stub_forget")
    structLayout = try library.symbol("gaudi_stub_layout")
  }

  /// The kind of the last misuse, and what it was; both empty where there was none.
  var fault: String { faultName().map { String(cString: $0) } ?? "" }
  var text: String { faultText().map { String(cString: $0) } ?? "" }

  /// Since `forget`.
  struct Counters {
    let launches, nodes, bytesCopied, compiles, deserializes, collectives: UInt64
  }

  var counters: Counters {
    var all = [UInt64](repeating: 0, count: 6)
    count(&all)
    return Counters(
      launches: all[0], nodes: all[1], bytesCopied: all[2], compiles: all[3], deserializes: all[4],
      collectives: all[5])
  }

  /// Forgets misuse and counters.
  func forget() { forgetAll() }

  /// Bytes of a struct, or how far into it a field is (`synTensorGeometry.dims`); nil for what the stub does not know.
  func layout(_ name: String) -> Int? {
    let found = structLayout(name)
    return found == -1 ? nil : found
  }
}

/// The stub's card, as new.
func stubbedDevice() throws -> (GaudiStub, GaudiDevice) {
  let stub = try GaudiStub.shared.get()
  stub.forget()
  return (stub, try GaudiDevice(named: "gaudi", library: builtGaudiStub))
}
