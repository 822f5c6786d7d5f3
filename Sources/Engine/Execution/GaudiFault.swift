import Platform

/// What can be wrong with a Gaudi that computes in the processor's place, and with its libraries.
public enum GaudiFault: Equatable, Sendable {
  /// Synapse is not there, or is older than what is asked of it.
  case noSynapse(device: String, PlatformError)
  /// Synapse is there, and no card that it shows; `visible`: the variable that hides some, as it is set.
  case noCard(device: String, visible: String?)
  /// `gaudi:3` where there is no such module, or none that this process may have.
  case noSuchCard(device: String, modules: [Int], visible: String?)
  /// All cards, or the one that was asked for, are held by other processes.
  case taken(device: String, count: Int)
  /// A number was expected behind the colon.
  case badName(String)
  /// More processes on a host than cards.
  case fewCards(device: String, count: Int, ranks: Int, visible: String?)
  /// A call failed. `operation`: what it was for; empty where that says no more than the call.
  case call(String, device: String, code: Int, error: String, operation: String)
  /// The graph compiler takes a graph or a node not.
  case notCompiled(String, device: String, code: Int, error: String, release: String)
  /// `fitting`: the largest batch that there would be memory for, 0 for none, nil where that is not known yet.
  case outOfMemory(device: String, wanted: Int, free: Int, total: Int, batch: Int, fitting: Int?)
  /// The library has no HCCL.
  case noHCCL(device: String, PlatformError)
  /// The ranks have different releases.
  case releases(String, String)
  case hccl(String, device: String, code: Int, error: String, place: String)
  /// HCCL is not done after so long.
  case hcclSilent(String, device: String, place: String, seconds: Int)

  private static func hidden(by visible: String?) -> String {
    visible.map { " (HABANA_VISIBLE_MODULES is “\($0.printable)”)" } ?? ""
  }

  var diagnosis: Diagnosis {
    switch self {
    case .noSynapse(let device, let error):
      Diagnosis(
        id: "device.no-synapse", exit: .unavailable,
        message: "device “\(device.printable)” needs Intel Gaudi's software: \(error.diagnosis.message)",
        hint:
          "install release 1.19 or newer (habanalabs-graph has libSynapse.so), or name the library with CHEXNET_SYNAPSE=/path/libSynapse.so; --device cpu does without"
      )
    case .noCard(let device, let visible):
      Diagnosis(
        id: "device.none", exit: .unavailable,
        message: "device “\(device.printable)”: Synapse is there, but it shows no Gaudi\(Self.hidden(by: visible))",
        hint: visible == nil
          ? "see what hl-smi says; in a container the cards must be passed in (--runtime=habana); or use --device cpu"
          : "unset HABANA_VISIBLE_MODULES, or name a module that hl-smi lists; or use --device cpu")
    case .noSuchCard(let device, let modules, let visible):
      Diagnosis(
        id: "device.no-such", exit: .unavailable,
        message:
          "device “\(device.printable)” is not there: this process may have the modules "
          + modules.map(String.init).joined(separator: ", ") + Self.hidden(by: visible),
        hint: "use --device gaudi:\(modules.first ?? 0)")
    case .taken(let device, let count):
      Diagnosis(
        id: "device.taken", exit: .unavailable,
        message:
          "device “\(device.printable)” is in use by another process (\(count) Gaudi\(count == 1 ? "" : "s") here; a card has one process at a time)",
        hint: "hl-smi shows who holds it: wait, end that process, or use another card (--device gaudi takes a free one)"
      )
    case .badName(let name):
      Diagnosis(
        id: "device.name", exit: .usage,
        message: "“\(name.printable)” names no Gaudi: expected gaudi, or gaudi: and the module's number from 0",
        hint: "use --device gaudi")
    case .fewCards(let device, let count, let ranks, let visible):
      Diagnosis(
        id: "device.few", exit: .unavailable,
        message:
          "device “\(device.printable)”: \(ranks) ranks on this machine, and Synapse shows \(count) Gaudi\(count == 1 ? "" : "s")\(Self.hidden(by: visible))",
        hint: "start as many ranks as there are cards: --ranks \(count)")
    case .call(let call, let device, let code, let error, let operation):
      Diagnosis(
        id: "device.failed", exit: .unavailable,
        message: "\(call) failed on \(device.printable) with \(error.printable) (\(code))"
          + (operation.isEmpty ? "" : ", at \(operation.printable)"),
        hint:
          "see dmesg for habanalabs' messages and hl-smi for the card's state; HABANA_LOGS=DIR and LOG_LEVEL_ALL=3 make Synapse write more; chexnet doctor --device gaudi tries each node; --device cpu does without"
      )
    case .notCompiled(let what, let device, let code, let error, let release):
      Diagnosis(
        id: "device.compile", exit: .unavailable,
        message:
          "Synapse \(release.printable) does not compile \(what.printable) for \(device.printable): \(error.printable) (\(code))",
        hint:
          "chexnet doctor --device gaudi --compile-only says which nodes it takes: send its report in; HABANA_LOGS=DIR and LOG_LEVEL_ALL=3 make Synapse say why; --device cpu does without"
      )
    case .outOfMemory(let device, let wanted, let free, let total, let batch, let fitting):
      Diagnosis(
        id: "device.memory", exit: .outOfMemory,
        message: DeviceFault.tooLittleMemory(device, wanted: wanted, free: free, total: total, batch: batch),
        hint: fitting.map {
          $0 > 0 ? "--batch-size \($0) would fit" : "no batch would fit: see with hl-smi who holds the memory"
        } ?? "a smaller --batch-size may fit; hl-smi shows who holds the memory")
    case .noHCCL(let device, let error):
      Diagnosis(
        id: "device.no-hccl", exit: .unavailable,
        message: "\(device.printable): ranks with Gaudis need HCCL: \(error.diagnosis.message)",
        hint: "it is part of libSynapse.so: install a whole release of Intel Gaudi's software")
    case .releases(let one, let other):
      Diagnosis(
        id: "device.synapse-releases", exit: .unavailable,
        message: "the ranks have found different releases of Synapse: \(one.printable) and \(other.printable)",
        hint: "install the same on all machines, or name the same library for all with CHEXNET_SYNAPSE")
    case .hccl(let call, let device, let code, let error, let place):
      Diagnosis(
        id: "device.hccl", exit: .unavailable,
        message: "\(call) failed on \(device.printable) with \(error.printable) (\(code)), at \(place.printable)",
        hint:
          "HCCL_SOCKET_IFNAME names the network of several machines; HABANA_LOGS=DIR and LOG_LEVEL_HCL=1 make HCCL say more"
      )
    case .hcclSilent(let call, let device, let place, let seconds):
      Diagnosis(
        id: "ranks.hccl", exit: .rankLost,
        message: "\(call) on \(device.printable) is not done after \(seconds) s (\(place.printable))",
        hint:
          "see what the other ranks say, and that all machines reach each other (HCCL_SOCKET_IFNAME); --comm-timeout waits longer"
      )
    }
  }
}
