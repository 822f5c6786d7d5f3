import Platform

/// The functions of MPI that are used, by either interface (MPI 3.1). Handles are words, see `MPIABI`.
struct MPIFunctions {
  let abi: MPIABI
  let world: UInt
  let float: UInt
  let double: UInt
  let byte: UInt
  let sum: UInt
  let errorsReturn: UInt

  let initialize:
    @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, CInt, UnsafeMutablePointer<CInt>) -> CInt
  let finalize: @convention(c) () -> CInt
  let rank: @convention(c) (UInt, UnsafeMutablePointer<CInt>) -> CInt
  let size: @convention(c) (UInt, UnsafeMutablePointer<CInt>) -> CInt
  let setErrorHandler: @convention(c) (UInt, UInt) -> CInt
  let abort: @convention(c) (UInt, CInt) -> CInt
  /// Send buffer, receive buffer, count, type, operation, communicator, request.
  let allReduce:
    @convention(c) (UInt, UnsafeMutableRawPointer, CInt, UInt, UInt, UInt, UnsafeMutablePointer<UInt>) -> CInt
  /// Buffer, count, type, root, communicator, request.
  let broadcast: @convention(c) (UnsafeMutableRawPointer?, CInt, UInt, CInt, UInt, UnsafeMutablePointer<UInt>) -> CInt
  let barrier: @convention(c) (UInt, UnsafeMutablePointer<UInt>) -> CInt
  /// Request, flag, status.
  let test: @convention(c) (UnsafeMutablePointer<UInt>, UnsafeMutablePointer<CInt>, UInt) -> CInt
  /// Buffer, count, type, destination, tag, communicator, request.
  let send: @convention(c) (UnsafeRawPointer, CInt, UInt, CInt, CInt, UInt, UnsafeMutablePointer<UInt>) -> CInt
  /// Source, tag, communicator, flag, status.
  let probe: @convention(c) (CInt, CInt, UInt, UnsafeMutablePointer<CInt>, UnsafeMutableRawPointer) -> CInt
  /// Buffer, count, type, source, tag, communicator, status.
  let receive: @convention(c) (UnsafeMutableRawPointer, CInt, UInt, CInt, CInt, UInt, UnsafeMutableRawPointer) -> CInt
  private let errorString: @convention(c) (CInt, UnsafeMutablePointer<CChar>, UnsafeMutablePointer<CInt>) -> CInt
  private let libraryVersion: LibraryVersion

  private typealias LibraryVersion =
    @convention(c) (UnsafeMutablePointer<CChar>, UnsafeMutablePointer<CInt>) -> CInt

  var inPlace: UInt { abi.inPlace }
  var ignoredStatus: UInt { abi.ignoredStatus }

  /// Opens the library that a launcher belongs to. Throws `libraryMissing`.
  init(_ mpi: Launcher.MPI) throws(PlatformError) {
    // Open MPI opens parts of its own, which look for its names.
    func open(_ names: [String]) throws(PlatformError) -> DynamicLibrary { try DynamicLibrary(names, isGlobal: true) }
    let library =
      switch mpi {
      case .openMPI: try open(MPIABI.openMPI.libraries)
      case .mpich: try open(MPIABI.mpich.libraries)
      case .either: try open(MPIABI.openMPI.libraries + MPIABI.mpich.libraries)
      case .library(let path): try open([path])
      }
    let abi = MPIABI.of(library)
    self.abi = abi
    world = try abi.value(abi.world, in: library)
    float = try abi.value(abi.float, in: library)
    double = try abi.value(abi.double, in: library)
    byte = try abi.value(abi.byte, in: library)
    sum = try abi.value(abi.sum, in: library)
    errorsReturn = try abi.value(abi.errorsReturn, in: library)
    initialize = try library.symbol("MPI_Init_thread")
    finalize = try library.symbol("MPI_Finalize")
    rank = try library.symbol("MPI_Comm_rank")
    size = try library.symbol("MPI_Comm_size")
    setErrorHandler = try library.symbol("MPI_Comm_set_errhandler")
    abort = try library.symbol("MPI_Abort")
    allReduce = try library.symbol("MPI_Iallreduce")
    broadcast = try library.symbol("MPI_Ibcast")
    barrier = try library.symbol("MPI_Ibarrier")
    test = try library.symbol("MPI_Test")
    send = try library.symbol("MPI_Isend")
    probe = try library.symbol("MPI_Iprobe")
    receive = try library.symbol("MPI_Recv")
    errorString = try library.symbol("MPI_Error_string")
    libraryVersion = try library.symbol("MPI_Get_library_version")
  }

  /// The library's own words, its first line.
  var version: String {
    // MPI_MAX_LIBRARY_VERSION_STRING: 256 in Open MPI, 8192 in MPICH.
    Self.text(capacity: 8192) { libraryVersion($0, $1) }?.split(separator: "\n").first.map(String.init) ?? abi.name
  }

  /// What is there of both kinds, by its own words, opened for this alone; nil where nothing is.
  static func installed() -> [(name: String, version: String?)] {
    [MPIABI.openMPI, .mpich].map { abi in
      // Their names are the same: neither may see the other's.
      let version = (try? DynamicLibrary(abi.libraries)).flatMap { library in
        (try? library.symbol("MPI_Get_library_version", as: LibraryVersion.self)).flatMap { function in
          text(capacity: 8192) { function($0, $1) }.flatMap { words(of: $0) }
        }
      }
      return (abi.name, version)
    }
  }

  /// `v4.1.4` of “Open MPI v4.1.4, package: …”, `4.0.2` of “MPICH Version: 4.0.2 …”.
  static func words(of version: String) -> String? {
    version.split { $0.isWhitespace || $0 == "," }.first { word in
      word.first?.isNumber == true || (word.first == "v" && word.dropFirst().first?.isNumber == true)
    }.map(String.init)
  }

  /// Throws `ranks(.call)` where `status` is not 0.
  func check(_ name: String, _ status: CInt) throws(BackendError) {
    guard status != 0 else { return }
    // MPI_MAX_ERROR_STRING: 256 in Open MPI, 512 in MPICH.
    throw .ranks(.call(name, reason: Self.text(capacity: 1024) { errorString(status, $0, $1) } ?? "unknown"))
  }

  private static func text(
    capacity: Int, _ write: (UnsafeMutablePointer<CChar>, UnsafeMutablePointer<CInt>) -> CInt
  ) -> String? {
    var length: CInt = 0
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
      buffer.initialize(repeating: 0)
      guard let start = buffer.baseAddress, write(start, &length) == 0 else { return nil }
      return String(
        decoding: buffer.prefix(Int(length)).prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }
}

/// The MPIs that are on this machine, for reports: `v4.1.4`, or nil where there is none of that kind.
public func mpiLibraryVersions() -> [(name: String, version: String?)] { MPIFunctions.installed() }
