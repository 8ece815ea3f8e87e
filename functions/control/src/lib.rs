//! Ports, and the use cases sweep, reconcile and execute over them.
