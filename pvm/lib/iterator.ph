// What foreach asks of a collection, and of what goes over it.
package .phantom.util;

import .internal.closure;

interface iterator
{
    int hasNext();
    void next();
};

interface iterable
{
    iterator iterator();
};

interface comparator
{
    int compare( var a, var b );    // below 0: a goes first; 0: they are equal
};

// Numbers by size, strings by bytes.
class natural implements comparator
{
    int compare( var a, var b ) { return a < b ? -1 : b < a ? 1 : 0; }
};

class by_closure implements comparator
{
    private closure order;
    void by_closure( var order_ : closure ) { order = order_; }
    int compare( var a, var b ) { return (int)order( a, b ); }
};

class reversed implements comparator
{
    private comparator order;
    void reversed( var order_ : comparator ) { order = order_; }
    int compare( var a, var b ) { return order.compare( b, a ); }
};
