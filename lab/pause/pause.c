// The sandbox container of a pod: keeps its namespaces and reaps what is left to it.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void reap(int s){ (void)s; while (waitpid(-1, 0, WNOHANG) > 0); }
static void stop(int s){ (void)s; _exit(0); }
int main(void){ struct sigaction a={0}; a.sa_handler=reap; a.sa_flags=SA_NOCLDSTOP; sigaction(SIGCHLD,&a,0); signal(SIGINT,stop); signal(SIGTERM,stop); for(;;) pause(); }
